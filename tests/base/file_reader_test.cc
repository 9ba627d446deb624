#include "base/file_reader.h"

#include "gtest/gtest.h"

#include "base/sha256.h"
#include "tests/support/temp_dir.h"

namespace floe {
namespace {

TEST(FileReader, ReadsPiecesUpToTheEnd) {
  const test::TempDir folder;
  const auto reader = FileReader::Open(folder.Write("f", "0123456789"));
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_EQ(reader->size(), 10);
  std::string piece = "old";
  ASSERT_TRUE(reader->ReadAt(2, 4, piece).ok());
  EXPECT_EQ(piece, "2345");
  ASSERT_TRUE(reader->ReadAt(8, 100, piece).ok());
  EXPECT_EQ(piece, "89");
  ASSERT_TRUE(reader->ReadAt(10, 4, piece).ok());
  EXPECT_EQ(piece, "");
}

TEST(FileReader, RefusesWhatIsNoFile) {
  const test::TempDir folder;
  EXPECT_EQ(FileReader::Open(folder / "none").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(FileReader::Open(folder.path()).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(DigestOf, IsThatOfTheWholeFile) {
  const test::TempDir folder;
  const std::string bytes(3'000'001, 'q');
  const auto digest = DigestOf(*FileReader::Open(folder.Write("f", bytes)));
  ASSERT_TRUE(digest.ok()) << digest.status();
  EXPECT_EQ(digest->sha256, Sha256::Hex(bytes));
  EXPECT_EQ(digest->size, 3'000'001);
}

}  // namespace
}  // namespace floe
