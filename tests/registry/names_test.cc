#include "registry/names.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace floe::registry {
namespace {

using testing::HasSubstr;

const std::string kDigest(64, 'a');

TEST(NamesTest, ResourceNamesAreParsedAndWritten) {
  EXPECT_EQ(*ParseTeam("teams/nlp"), "nlp");
  EXPECT_EQ(ModelName(*ParseModel("teams/nlp/models/hamlet")), "teams/nlp/models/hamlet");
  EXPECT_EQ(ToString(*ParseVersion("teams/nlp/models/hamlet/versions/7")),
            "teams/nlp/models/hamlet/versions/7");
  EXPECT_EQ(ToString(*ParseAlias("teams/nlp/models/hamlet/aliases/production")),
            "teams/nlp/models/hamlet/aliases/production");
  const auto newest = ParseDataset("teams/nlp/datasets/wordnet");
  ASSERT_TRUE(newest.ok()) << newest.status();
  EXPECT_EQ(newest->digest, "");
  const auto revision = ParseTokenizer("teams/nlp/tokenizers/bpe@sha256:" + kDigest);
  ASSERT_TRUE(revision.ok()) << revision.status();
  EXPECT_EQ(TokenizerName(revision->name), "teams/nlp/tokenizers/bpe");
  EXPECT_EQ(revision->digest, kDigest);
}

TEST(NamesTest, WrongNamesSayWhatIsExpected) {
  EXPECT_THAT(std::string(ParseModel("models/hamlet").status().message()),
              HasSubstr("teams/<id>/models/<id>"));
  for (const char* version : {"0", "-1", "01", "x", "1x", "99999999999999999999"}) {
    EXPECT_FALSE(ParseVersion(std::string("teams/nlp/models/hamlet/versions/") + version).ok())
        << version;
  }
  EXPECT_FALSE(ParseDataset("teams/nlp/datasets/wordnet@sha256:ABC").ok());
  EXPECT_FALSE(ParseDataset("teams/nlp/datasets/wordnet@latest").ok());
  EXPECT_FALSE(ParseTokenizer("teams/nlp/datasets/bpe").ok());
}

TEST(NamesTest, ABareReferenceMeansProduction) {
  const auto reference = std::get<AliasReference>(*ParseReference("hamlet"));
  EXPECT_EQ(reference.model, "hamlet");
  EXPECT_EQ(reference.alias, "production");
}

TEST(NamesTest, EveryFormOfReferenceIsTold) {
  EXPECT_EQ(std::get<AliasReference>(*ParseReference("hamlet@canary")).alias, "canary");
  EXPECT_EQ(std::get<VersionReference>(*ParseReference("hamlet@3")).version, 3);
  EXPECT_EQ(std::get<LatestReference>(*ParseReference("hamlet@latest")).model, "hamlet");
  const auto digest = std::get<DigestReference>(*ParseReference("sha256:" + kDigest));
  EXPECT_EQ(digest.model, "");
  EXPECT_EQ(digest.digest, kDigest);
  EXPECT_EQ(std::get<DigestReference>(*ParseReference("hamlet@sha256:" + kDigest)).model, "hamlet");
}

TEST(NamesTest, ReferencesThatMeanNothingListTheForms) {
  for (const std::string text : {"", "@", "hamlet@", "hamlet@0", "hamlet@03", "hamlet@1@2",
                                 "sha256:12", "hamlet@sha256:", "HAMLET", "teams/nlp"}) {
    const auto reference = ParseReference(text);
    ASSERT_FALSE(reference.ok()) << text;
    EXPECT_THAT(std::string(reference.status().message()), HasSubstr("<model>@<alias>"));
  }
}

TEST(NamesTest, AnAliasCannotReadAsAVersion) {
  EXPECT_TRUE(CheckAliasId("v3").ok());
  EXPECT_FALSE(CheckAliasId("3").ok());
  EXPECT_FALSE(CheckAliasId("latest").ok());
  EXPECT_FALSE(CheckAliasId("3.1").ok());
  EXPECT_FALSE(CheckAliasId("").ok());
}

TEST(NamesTest, MessagesShowStrangeBytesEscapedAndShortened) {
  const auto reference = ParseReference("\x01" + std::string(10000, 'x'));
  EXPECT_LT(reference.status().message().size(), 600u);
  EXPECT_THAT(std::string(reference.status().message()), HasSubstr("\\x01"));
}

}  // namespace
}  // namespace floe::registry
