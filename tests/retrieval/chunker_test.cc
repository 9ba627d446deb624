// Chunks: bounded, overlapping, and exactly where they say they are.
#include "retrieval/chunker.h"

#include <random>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "retrieval/json_string.h"
#include "tests/retrieval/fakes.h"
#include "tests/tokenizer/sample_tokenizer.h"

namespace floe::retrieval {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

NewDocument Text(std::string content, Format format = Format::kText) {
  return {"doc", "Title", format, "", std::move(content)};
}

std::vector<Chunk> Cut(const NewDocument& document, int tokens, int overlap) {
  const auto chunks = ChunksOf(document, *ByteTokenizer(), {tokens, overlap});
  EXPECT_TRUE(chunks.ok()) << chunks.status();
  return chunks.value_or(std::vector<Chunk>());
}

std::vector<std::string> Texts(const std::vector<Chunk>& chunks) {
  std::vector<std::string> texts;
  for (const Chunk& chunk : chunks) texts.push_back(chunk.text);
  return texts;
}

TEST(Chunker, AShortTextIsOneChunkWithoutTheWhiteSpaceAround) {
  const auto chunks = Cut(Text("  \n A dog barks.\n\n"), 128, 16);
  ASSERT_EQ(chunks.size(), 1u);
  EXPECT_EQ(chunks[0], (Chunk{0, 4, 16, "Title", "A dog barks.", 12}));
}

TEST(Chunker, ChunksEndAtSentencesAndShareWords) {
  const std::string text = "One two three. Four five six. Seven eight nine. Ten.";
  EXPECT_THAT(Texts(Cut(Text(text), 32, 0)),
              ElementsAre("One two three. Four five six.", "Seven eight nine. Ten."));
  EXPECT_THAT(
      Texts(Cut(Text(text), 32, 10)),
      ElementsAre("One two three. Four five six.", "five six. Seven eight nine.", "nine. Ten."));
}

TEST(Chunker, AParagraphsEndGoesBeforeASentences) {
  const std::string text = "Aaaa bbbb cccc dddd.\n\nEe. Ff gggg hhhh iiii jjjj.";
  EXPECT_THAT(Texts(Cut(Text(text), 25, 0)),
              ElementsAre("Aaaa bbbb cccc dddd.", "Ee. Ff gggg hhhh iiii", "jjjj."));
}

// " the" is one token and "the" three: a chunk that began with it had one more than its limit.
TEST(Chunker, TheLimitHoldsWithoutTheWhiteSpaceInFront) {
  const auto tokenizer = tokenizer::SampleTokenizer();
  const NewDocument text = Text("The town is far, and the river is wide: nobody hurries.");
  for (int limit = 4; limit < 12; ++limit) {
    const auto chunks = ChunksOf(text, *tokenizer, {limit, 2});
    ASSERT_TRUE(chunks.ok()) << chunks.status();
    for (const Chunk& chunk : *chunks) EXPECT_LE(chunk.tokens, limit) << chunk.text;
  }
}

TEST(Chunker, ALongRunWithoutSpacesIsCutBetweenCharacters) {
  std::string text;
  for (int i = 0; i < 50; ++i) text += "ä";
  for (const Chunk& chunk : Cut(Text(text), 9, 2)) {
    EXPECT_LE(chunk.tokens, 9);
    EXPECT_EQ(chunk.text.size() % 2, 0u);
    EXPECT_TRUE(CheckText("chunk", chunk.text, 100).ok());
  }
}

TEST(Chunker, MarkdownChunksStayUnderTheirHeadings) {
  const std::string text =
      "Before.\n# Install ##\nGet it.\n## Linux\napt.\n```\n# no heading\n```\nEnd.\n### Debian\n"
      "Yes.\n# Use\nRun it.\n####### seven is text\n#nospace is text\n";
  const auto chunks = Cut(Text(text, Format::kMarkdown), 200, 20);
  std::vector<std::string> headings;
  for (const Chunk& chunk : chunks) {
    headings.push_back(chunk.heading);
    EXPECT_EQ(text.substr(chunk.begin, chunk.end - chunk.begin), chunk.text);
  }
  EXPECT_THAT(headings, ElementsAre("Title", "Title > Install", "Title > Install > Linux",
                                    "Title > Install > Linux > Debian", "Title > Use"));
  EXPECT_EQ(chunks[2].text, "## Linux\napt.\n```\n# no heading\n```\nEnd.");
  EXPECT_THAT(chunks[4].text, HasSubstr("#nospace is text"));
}

TEST(Chunker, JsonLinesCiteTheBytesInsideTheString) {
  const std::string text =
      "{\"id\": 1, \"title\": \"dog\", \"text\": \"  A \\\"dog\\\"\\nis \\u00e4n animal.\"}\n\n"
      "{\"text\": \"Second.\"}\n{\"text\": \" \"}\n";
  const auto chunks = Cut(Text(text, Format::kJsonl), 200, 20);
  ASSERT_EQ(chunks.size(), 2u);
  EXPECT_EQ(chunks[0].text, "A \"dog\"\nis än animal.");
  EXPECT_EQ(chunks[0].heading, "Title > dog");
  EXPECT_EQ(text.substr(chunks[0].begin, chunks[0].end - chunks[0].begin),
            "A \\\"dog\\\"\\nis \\u00e4n animal.");
  EXPECT_EQ(text.substr(chunks[1].begin, chunks[1].end - chunks[1].begin), "Second.");
}

TEST(Chunker, WhatIsNoDocumentIsNamed) {
  const auto message = [](const std::string& content, Format format) {
    const auto chunks = ChunksOf(Text(content, format), *ByteTokenizer(), {});
    EXPECT_EQ(chunks.status().code(), absl::StatusCode::kInvalidArgument);
    return std::string(chunks.status().message());
  };
  EXPECT_THAT(message(" \n", Format::kText), HasSubstr("document doc has no text"));
  EXPECT_THAT(message("{\"text\": \"a\"}\n{\"tex\": 1}", Format::kJsonl), HasSubstr("line 2"));
  EXPECT_THAT(message("{\"text\": \"a\"}\n\n[1]", Format::kJsonl), HasSubstr("line 3"));
  EXPECT_THAT(message("{\"text\": \"\\ud800\"}", Format::kJsonl), HasSubstr("line 1"));
  const std::string deep = std::string(100, '[') + std::string(100, ']');
  EXPECT_THAT(message("{\"text\": \"a\", \"b\": " + deep + "}", Format::kJsonl),
              HasSubstr("line 1 nests deeper than 64 levels"));
  EXPECT_THAT(message("{\"text\": \"a\\u0000b\"}", Format::kJsonl), HasSubstr("\\u0000"));
}

// Random documents of every format: each chunk is at its offsets, within its limit, and together
// they leave out nothing but white space.
TEST(Chunker, RandomDocumentsAreCoveredExactly) {
  std::mt19937 random(7);
  const std::vector<std::string> words = {"dog",  "Ä",        "😀",     ".",  "!\n",
                                          "\n\n", "# head\n", "```\n", "  ", "x",
                                          "\\",   "\"",       "word.", "\t", "longerword"};
  for (int round = 0; round < 400; ++round) {
    std::string plain;
    const size_t length = random() % 80;
    for (size_t i = 0; i < length; ++i) {
      absl::StrAppend(&plain, words[random() % words.size()], random() % 2 ? " " : "");
    }
    const auto format = static_cast<Format>(round % 3);
    std::string content = plain;
    if (format == Format::kJsonl) {
      content = "{\"text\": \"";
      for (const char c : plain) {
        if (c == '\n') {
          content += "\\n";
        } else if (c == '\t') {
          content += "\\u0009";
        } else {
          if (c == '"' || c == '\\') content += '\\';
          content += c;
        }
      }
      content += "\"}";
    }
    const int limit = 4 + static_cast<int>(random() % 40);
    const int overlap = static_cast<int>(random() % (limit / 2 + 1));
    const auto chunks = ChunksOf(Text(content, format), *ByteTokenizer(), {limit, overlap});
    if (!chunks.ok()) {
      EXPECT_EQ(plain.find_first_not_of(" \n\t"), plain.npos) << plain;
      continue;
    }
    std::vector<bool> covered(content.size());
    for (size_t i = 0; i < chunks->size(); ++i) {
      const Chunk& chunk = (*chunks)[i];
      EXPECT_EQ(chunk.index, static_cast<int>(i));
      EXPECT_LE(chunk.tokens, limit);
      EXPECT_EQ(chunk.tokens, static_cast<int>(chunk.text.size()));
      const std::string cited = content.substr(chunk.begin, chunk.end - chunk.begin);
      EXPECT_EQ(format == Format::kJsonl ? UnescapeJson(cited).text : cited, chunk.text);
      EXPECT_TRUE(CheckText("chunk", chunk.text, 1000).ok());
      for (int64_t at = chunk.begin; at < chunk.end; ++at) covered[at] = true;
    }
    for (size_t at = 0; format != Format::kJsonl && at < content.size(); ++at) {
      if (!covered[at]) {
        EXPECT_NE(std::string(" \n\t").find(content[at]), std::string::npos)
            << "byte " << at << " of " << content;
      }
    }
  }
}

}  // namespace
}  // namespace floe::retrieval
