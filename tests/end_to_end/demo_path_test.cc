// The demo's path at tiny size, through the real programs and real HTTP: a fleet, a corpus, a
// tokenizer, a training job, a promoted version, the same answer plain and streamed, its bill; a
// service that is killed, a byte that is changed, a backup, and nothing left at the end. One path
// in one file: what a step makes, the next ones use.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <sstream>
#include <thread>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "cli/fleet/process.h"
#include "cli/fleet/service_plan.h"
#include "cli/http/sse.h"

#include "base/files.h"
#include "base/sha256.h"
#include "model/checkpoint.h"
#include "tests/end_to_end/fleet_fixture.h"
#include "tokenizer/tokenizer.h"

namespace floe::test {
namespace {

using nlohmann::json;
using testing::HasSubstr;

// Small but not senseless: the loss has something to learn.
std::string Corpus() {
  const std::vector<std::string> animals = {"dog", "cat", "horse", "bird", "fish", "wolf"};
  const std::vector<std::string> places = {"house", "river", "forest", "garden", "mountain"};
  std::string text;
  for (int i = 0; i < 600; ++i) {
    absl::StrAppend(&text, "A ", animals[i % animals.size()], " is an animal that lives near the ",
                    places[(i * 7 / 3) % places.size()], ". It was seen ", i % 13, " times.\n\n");
  }
  return text;
}

constexpr char kJob[] = R"(
model: tiny
dataset: corpus
tokenizer: words
blueprint: {family: qwen3, hidden_size: 64, num_layers: 2, num_heads: 4, num_kv_heads: 2, head_dim: 16,
            ffn_hidden: 128, context: 64, tie_embeddings: true}
train: {steps: 60, batch_size: 8, sequence_length: 32, learning_rate: 0.003, warmup_steps: 5, seed: 1,
        eval_interval: 20, checkpoint_interval: 20, held_out_fraction: 0.05, sample_prompt: "A dog"}
)";

constexpr char kSft[] = R"(
kind: sft
model: tiny
base: tiny@production
dataset: chats
held_out: chats-held-out
train: {steps: 30, batch_size: 8, learning_rate: 0.003, warmup_steps: 3, eval_interval: 15}
)";

constexpr char kGates[] = R"(
gates:
  - {metric: answer_loss, dataset: chats-held-out, better: lower}
)";

// Questions and answers by number, as JSON Lines.
std::string Chats(int from, int count) {
  std::string lines;
  for (int i = from; i < from + count; ++i) {
    lines += json({{"messages",
                    {{{"role", "user"}, {"content", absl::StrCat("Where is dog ", i, "?")}},
                     {{"role", "assistant"}, {"content", "Near the river."}}}}})
                 .dump() +
             "\n";
  }
  return lines;
}

class DemoPathTest : public testing::Test {
 protected:
  json ServiceOf(const std::string& name) {
    const json status = fleet_.FloeJson({"status"});
    for (const json& service : status["services"]) {
      if (service["name"] == name) return service;
    }
    return {};
  }

  // Out, in again under another name with the same digest, and a long file part by part.
  void TokenizersAsFiles(const std::string& corpus, const json& digest) {
    EXPECT_EQ(fleet_.Floe({"tokenizer", "export", "words", "words.json"}).code, 0);
    EXPECT_EQ(fleet_.FloeJson({"tokenizer", "import", "words.json", "--name", "again"})["digest"],
              digest);
    const Said wrong = fleet_.Floe({"tokenizer", "import", "corpus.txt", "--name", "wrong"});
    EXPECT_EQ(wrong.code, 2);
    EXPECT_THAT(wrong.err, HasSubstr("corpus.txt"));
    std::string text;
    while (text.size() < size_t{5} << 20) text += corpus;  // more than goes in one call
    fleet_.Write("long.txt", text);
    const json parts =
        fleet_.FloeJson({"tokenizer", "encode", "words", "--file", "long.txt", "--offsets"});
    EXPECT_EQ(parts["bytes"], text.size());
    // Every offset is that of the whole, in one call and in this process.
    const auto whole = tokenizer::Tokenizer::Load(*ReadFile(fleet_.folder() / "words.json"));
    ASSERT_TRUE(whole.ok()) << whole.status();
    std::vector<tokenizer::TokenId> ids;
    std::vector<size_t> ends;
    size_t end = 0;
    for (const tokenizer::TokenId id : (*whole)->Encode(text)) {
      ids.push_back(id);
      ends.push_back(end += (*whole)->TokenBytes(id)->size());
    }
    EXPECT_EQ(end, text.size());
    EXPECT_TRUE(parts["ids"] == json(ids)) << "where the parts meet, other ids";
    EXPECT_TRUE(parts["ends"] == json(ends)) << "where the parts meet, other ends";
    // Trusted text goes whole.
    EXPECT_EQ(
        fleet_.FloeJson({"tokenizer", "encode", "again", "--file", "long.txt", "--special"})["ids"],
        parts["ids"]);
  }

  // Any bytes are encoded, counted and given back; `name` is of a tokenizer.
  void TextThatIsNoUtf8(const std::string& name) {
    const std::string latin1 = "Caf\xE9 na\xEFve, \xFF\n";
    fleet_.Write("latin1.txt", latin1);
    const json encoded = fleet_.FloeJson({"tokenizer", "encode", name, "--file", "latin1.txt"});
    EXPECT_EQ(encoded["bytes"], latin1.size());
    EXPECT_EQ(fleet_.FloeJson({"tokenizer", "count", name, "--file", "latin1.txt"})["tokens"],
              encoded["tokens"]);
    std::vector<std::string> decode = {"tokenizer", "decode", name};
    for (const json& id : encoded["ids"]) decode.push_back(absl::StrCat(id.get<int>()));
    EXPECT_EQ(fleet_.Floe(decode).out, latin1);
  }

  // tiny@1, which stands in production, is the base; tiny@2 is made, and goes there and back.
  void AlignAndPromote(const std::string& base_digest) {
    fleet_.Write("chats.jsonl", Chats(0, 40));
    fleet_.Write("chats-held-out.jsonl", Chats(40, 10));
    for (const char* file : {"chats.jsonl", "chats-held-out.jsonl"}) {
      EXPECT_EQ(fleet_.Floe({"data", "import", file, "--format", "chat"}).code, 0);
    }
    fleet_.Write("sft.yaml", kSft);
    Said said = fleet_.Floe({"train", "sft.yaml", "--watch"});
    ASSERT_EQ(said.code, 0) << said.out << said.err;
    const json aligned = fleet_.FloeJson({"models", "show", "tiny@latest"});
    EXPECT_EQ(aligned["lineage"]["parent_digest"], base_digest);
    fleet_.Write("gates.yaml", kGates);
    EXPECT_EQ(fleet_.Floe({"models", "gate", "set", "tiny", "gates.yaml"}).code, 0);
    said = fleet_.Floe({"models", "promote", "tiny@2"});
    EXPECT_EQ(said.code, 1);
    EXPECT_THAT(said.err, HasSubstr("tiny@2 has no answer_loss"));
    said =
        fleet_.Floe({"eval", "run", "tiny@1", "tiny@2", "--dataset", "chats-held-out", "--watch"});
    ASSERT_EQ(said.code, 0) << said.out << said.err;
    EXPECT_EQ(fleet_.FloeJson({"eval", "ls", "--dataset", "chats-held-out"}).size(), 2u);
    said = fleet_.Floe({"models", "promote", "tiny@2", "--reason", "better"});
    EXPECT_EQ(said.code, 0) << said.err;
    EXPECT_EQ(fleet_.Floe({"models", "promote", "tiny@1"}).code, 1);
    EXPECT_EQ(fleet_.Floe({"models", "rollback", "tiny"}).code, 0);
    EXPECT_EQ(fleet_.FloeJson({"models", "show", "tiny"})["digest"], base_digest);
  }

  // What floe prints as JSON once `good` says so of it; a null value after a minute.
  json FloeUntil(const std::vector<std::string>& words, const std::function<bool(json&)>& good) {
    std::vector<std::string> command = words;
    command.push_back("--json");
    const absl::Time until = absl::Now() + absl::Minutes(1);
    Said said;
    while (absl::Now() < until) {
      said = fleet_.Floe(command);
      json answer = json::parse(said.out, nullptr, false);
      if (said.code == 0 && !answer.is_discarded() && good(answer)) return answer;
    }
    ADD_FAILURE() << words[0] << " " << words[1] << " never said it, at last: " << said.out
                  << said.err;
    return {};
  }

  // A job's work stands at billing soon after its end, as much as the recipe says, and no less.
  void ExpectAccountedFor(const std::string& job, int64_t tokens) {
    const auto of_job = [&](json& usage) {
      return std::any_of(usage["rows"].begin(), usage["rows"].end(), [&](const json& row) {
        return row["job"] == job && row["used"]["attempts"] == 1 && row["jobs"] == 1 &&
               row["used"]["tokens"] == tokens && row["used"]["gigaflop"] > 0 &&
               row["used"]["core_time"] > 0;
      });
    };
    FloeUntil({"bill", "training", "usage", "--jobs"}, of_job);
    const Said said = fleet_.Floe({"bill", "training", "usage"});
    EXPECT_EQ(said.code, 0) << said.err;
    EXPECT_THAT(said.out, testing::ContainsRegex("pretrain +tiny@1 +1 +1 "));
  }

  // The three counts: right after the traffic nobody is blamed for what still travels, and soon all
  // of the `requests` have come and agree.
  json ExpectVerified(size_t requests) {
    const Said said = fleet_.Floe({"bill", "verify"});
    EXPECT_EQ(said.code, 0) << said.out << said.err;
    const std::string now = absl::FormatTime(absl::RFC3339_full, absl::Now(), absl::UTCTimeZone());
    return FloeUntil({"bill", "verify", "--to", now},
                     [&](json& report) { return report["requests"] == requests; });
  }

  // Clients that leave at the first bytes, until one of them did so in mid-stream: how many.
  // Several at once, so that an answer takes its time; some have had all of theirs nevertheless.
  size_t LeaveInMidStream(json request) {
    constexpr size_t kClients = 8;
    request["stream"] = true;
    request["max_tokens"] = 56;
    request["floe"]["workflow_id"] = "left";
    for (size_t asked = kClients; asked <= 10 * kClients; asked += kClients) {
      std::vector<std::thread> clients;
      clients.reserve(kClients);
      for (size_t i = 0; i < kClients; ++i) {
        request["seed"] = asked + i;
        clients.emplace_back([&, request] { fleet_.PostAndLeave("/v1/completions", request); });
      }
      for (std::thread& client : clients) client.join();
      const json tree = FloeUntil({"bill", "tree", "left"},
                                  [&](json& tree) { return tree["steps"].size() == asked; });
      for (size_t i = asked - kClients; i < tree["steps"].size(); ++i) {
        const json usage = fleet_.FloeJson({"bill", "explain", tree["steps"][i]["usage_id"]});
        if (usage["event"]["outcome"] == "DISCONNECTED") return asked;
      }
    }
    ADD_FAILURE() << "nobody left in mid-stream";
    return 0;
  }

  // `request`, without cache, gave `answer`, one of `requests`. Their number in the end.
  size_t ExpectBill(const json& request, const json& answer, size_t requests) {
    const std::string id = answer["floe"]["usage_id"];
    const json explained =
        FloeUntil({"bill", "explain", id}, [](json& usage) { return !usage["attempts"].empty(); });
    EXPECT_EQ(explained["charge"]["dollars"], answer["floe"]["cost"]["amount"]);
    EXPECT_EQ(explained["event"]["usage_id"], id);
    EXPECT_EQ(explained["event"]["outcome"], "COMPLETED");
    EXPECT_EQ(explained["event"]["arrived_tokens"], answer["usage"]["completion_tokens"]);
    EXPECT_EQ(explained["attempts"].size(), 1u);
    EXPECT_EQ(explained["attempts"][0]["sent_tokens"], answer["usage"]["completion_tokens"]);
    EXPECT_EQ(explained["attempts"][0]["prompt_tokens"], answer["usage"]["prompt_tokens"]);
    EXPECT_EQ(fleet_.FloeJson({"tokenizer", "count", "words", request["prompt"]})["tokens"],
              answer["usage"]["prompt_tokens"]);
    EXPECT_EQ(explained["entries"].size(), 2u) << "what is owed, and what it was earned by";

    // A letter in the middle of that answer stops it there.
    const std::string text = answer["choices"][0]["text"];
    const auto letter = std::find_if(text.begin() + static_cast<ptrdiff_t>(text.size() / 2),
                                     text.end(), [](char c) { return absl::ascii_isalpha(c); });
    EXPECT_NE(letter, text.end()) << text;
    json until = request;
    until["stop"] = std::string(1, *letter);
    const json stopped = json::parse(fleet_.Post("/v1/completions", until).body);
    EXPECT_EQ(stopped["choices"][0]["finish_reason"], "stop") << stopped;
    EXPECT_EQ(stopped["choices"][0]["text"], text.substr(0, text.find(*letter)));
    EXPECT_LT(stopped["usage"]["completion_tokens"], answer["usage"]["completion_tokens"]);

    requests += 1 + LeaveInMidStream(request);
    const json verified = ExpectVerified(requests);
    EXPECT_GT(verified["cached_tokens"], 0) << "the second of two equal chats";
    EXPECT_EQ(verified["on_the_way"], 0);
    const json report = fleet_.FloeJson({"bill", "report", "--by", "team,model"});
    EXPECT_EQ(report["rows"].size(), 1u);
    EXPECT_EQ(report["rows"][0]["group"], (json{"default", "teams/default/models/tiny"}));
    EXPECT_EQ(report["total"]["requests"], requests);
    EXPECT_EQ(report["total"]["output_tokens"], verified["charged_tokens"]);
    EXPECT_EQ(report["total"]["cache_hits"], 1);
    return requests;
  }

  FleetFixture fleet_;
};

// Text of every event, and the usage of the last that has one.
std::pair<std::string, json> ReadStream(const std::string& body) {
  cli::SseReader reader;
  std::string text;
  json usage;
  for (const std::string& event : reader.Take(body)) {
    if (event == "[DONE]") continue;
    const json piece = json::parse(event);
    if (!piece["choices"].empty()) text += piece["choices"][0].value("text", "");
    if (piece.contains("usage") && piece["usage"].is_object()) usage = piece["usage"];
  }
  return {text, usage};
}

TEST_F(DemoPathTest, FromTextToTheSameAnswerTwiceAndNothingLeft) {
  // The fleet, once and again.
  Said said = fleet_.Floe({"up", "--http-port", "0", "--dir", fleet_.fleet()});
  EXPECT_EQ(said.code, 2) << "port 0 is no port";
  json up = fleet_.FloeJson({"up", "--dir", fleet_.fleet()});
  for (const cli::ServiceKind& service : cli::FleetServices()) {
    ASSERT_THAT(up["started"], testing::Contains(json(service.name)))
        << fleet_.Floe({"status"}).out;
  }
  EXPECT_EQ(fleet_.FloeJson({"up"})["was_running"], true);

  // A corpus and a tokenizer.
  const std::string corpus = Corpus();
  fleet_.Write("corpus.txt", corpus);
  const json dataset = fleet_.FloeJson({"data", "import", "corpus.txt"});
  ASSERT_EQ(dataset["digest"], Sha256::Hex(corpus));
  EXPECT_EQ(dataset["documents"], 600);
  said = fleet_.Floe({"tokenizer", "train", "--name", "words", "--dataset", "corpus",
                      "--vocab-size", "320", "--watch"});
  ASSERT_EQ(said.code, 0) << said.out << said.err;
  const json encoded = fleet_.FloeJson({"tokenizer", "encode", "words", "A dog is an animal."});
  EXPECT_EQ(fleet_.FloeJson({"tokenizer", "count", "words", "A dog is an animal."})["tokens"],
            encoded["tokens"]);
  EXPECT_LT(encoded["tokens"], 19);
  std::vector<std::string> decode = {"tokenizer", "decode", "words"};
  for (const json& id : encoded["ids"]) decode.push_back(absl::StrCat(id.get<int>()));
  EXPECT_EQ(fleet_.Floe(decode).out, "A dog is an animal.");
  TokenizersAsFiles(corpus, encoded["tokenizer_digest"]);
  TextThatIsNoUtf8("words");

  // A training job: what is wrong is said before anything is queued; what is right learns.
  fleet_.Write("wrong.yaml", absl::StrCat(kJob, "learning_rat: 1\n"));
  said = fleet_.Floe({"train", "wrong.yaml"});
  EXPECT_EQ(said.code, 2);
  EXPECT_THAT(said.err, HasSubstr("learning_rat"));
  fleet_.Write("job.yaml", kJob);
  EXPECT_EQ(fleet_.FloeJson(
                {"plan", "--job", "job.yaml", "--vocab-size", "320"})["blueprint"]["hidden_size"],
            64);
  said = fleet_.Floe({"train", "job.yaml", "--watch", "--json", "--priority", "1"});
  ASSERT_EQ(said.code, 0) << said.out << said.err;
  std::vector<double> losses;
  std::istringstream events(said.out);
  for (std::string line; std::getline(events, line);) {
    const json event = json::parse(line);
    if (event.contains("progress") && event["progress"]["metrics"].contains("loss")) {
      losses.push_back(event["progress"]["metrics"]["loss"]);
    }
  }
  ASSERT_GE(losses.size(), 2u);
  EXPECT_NEAR(losses.front(), std::log(320.0), 1.0);
  EXPECT_LT(losses.back(), losses.front() - 1.5);

  // The version: lineage, every byte, the alias.
  const json version = fleet_.FloeJson({"models", "show", "tiny@1"});
  EXPECT_EQ(version["lineage"]["dataset_digest"], Sha256::Hex(corpus));
  EXPECT_EQ(version["lineage"]["dataset"], "teams/default/datasets/corpus");
  EXPECT_EQ(version["lineage"]["tokenizer_digest"], encoded["tokenizer_digest"]);
  const std::string job = version["lineage"]["job"];
  EXPECT_THAT(job, HasSubstr("/jobs/trainer-"));
  EXPECT_EQ(fleet_.FloeJson({"jobs", "show", job})["priority"], 1);
  ExpectAccountedFor(job, 60 * 8 * 32);
  EXPECT_EQ(fleet_.Floe({"models", "verify", "tiny"}).code, 0);
  const json inspected = fleet_.FloeJson({"models", "inspect", "tiny@1"});
  EXPECT_EQ(inspected["model_digest"], version["digest"]);
  EXPECT_LT(inspected["metrics"]["loss"], inspected["metrics"]["before_loss"]);
  EXPECT_EQ(inspected["report"]["before"]["subject"], "fresh weights, seed 1");
  EXPECT_FALSE(inspected["report"]["after"]["layers"].empty());
  EXPECT_EQ(fleet_.Floe({"models", "promote", "tiny@1"}).code, 0);
  EXPECT_EQ(fleet_.Floe({"models", "export", "tiny", "tiny.gguf", "--format", "gguf"}).code, 0);
  EXPECT_EQ(ReadFile(fleet_.folder() / "tiny.gguf")->substr(0, 4), "GGUF");
  said = fleet_.Floe({"models", "export", "tiny", "exported"});
  EXPECT_EQ(said.code, 0) << said.err;
  const auto checkpoint = model::Checkpoint::Open(fleet_.folder() / "exported");
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  EXPECT_EQ(checkpoint->digest(), version["digest"]);
  // A folder of ours comes back as the same version; without floe.json it is anybody's.
  EXPECT_EQ(fleet_.FloeJson({"models", "import", "exported", "--model", "zcopy"})["digest"],
            version["digest"]);
  std::filesystem::remove(fleet_.folder() / "exported/floe.json");
  const json foreign = fleet_.FloeJson({"models", "import", "exported", "--model", "zforeign"});
  EXPECT_EQ(foreign["parameters"], version["parameters"]);
  EXPECT_EQ(fleet_.Floe({"models", "import", ".", "--model", "foreign"}).code, 3);

  // The same answer, plain and streamed.
  json request = {{"model", "tiny"},  {"prompt", "A dog"}, {"max_tokens", 16},
                  {"temperature", 1}, {"seed", 7},         {"floe", {{"cache", "off"}}}};
  const cli::HttpResponse plain = fleet_.Post("/v1/completions", request);
  ASSERT_EQ(plain.status, 200) << plain.body;
  const json answer = json::parse(plain.body);
  EXPECT_THAT(answer["system_fingerprint"].get<std::string>(),
              HasSubstr(version["digest"].get<std::string>().substr(0, 12)));
  request["stream"] = true;
  request["stream_options"] = {{"include_usage", true}};
  const cli::HttpResponse stream = fleet_.Post("/v1/completions", request);
  ASSERT_EQ(stream.status, 200) << stream.body;
  EXPECT_THAT(stream.body, testing::EndsWith("data: [DONE]\n\n"));
  const auto [text, usage] = ReadStream(stream.body);
  EXPECT_EQ(text, answer["choices"][0]["text"]);
  EXPECT_FALSE(text.empty());
  EXPECT_EQ(usage["completion_tokens"], answer["usage"]["completion_tokens"]);
  const std::vector<std::string> chat = {"chat",   "tiny", "-m",           "A cat",
                                         "--seed", "3",    "--max-tokens", "8"};
  const Said first = fleet_.Floe(chat);
  EXPECT_EQ(first.code, 0) << first.err;
  EXPECT_EQ(fleet_.Floe(chat).out, first.out);
  EXPECT_EQ(fleet_.Floe({"chat", "nobody", "-m", "x"}).code, 3);

  // What all of that cost, and that workers, gateway and ledger counted the same.
  request.erase("stream");
  request.erase("stream_options");
  const size_t requests = ExpectBill(request, answer, /*requests=*/4);

  // Private knowledge: found by the model's own embeddings, cited by its bytes, and exactly gone.
  fleet_.Write("facts.txt", "The blue vault opens with sesame. ");
  said = fleet_.Floe({"docs", "create", "facts", "--model", "tiny"});
  ASSERT_EQ(said.code, 0) << said.err;
  EXPECT_EQ(fleet_.FloeJson({"docs", "ingest", "facts", "facts.txt", "corpus.txt"})["documents"],
            2);
  const json found = fleet_.FloeJson({"docs", "search", "facts", "which vault opens?"});
  ASSERT_FALSE(found["passages"].empty());
  EXPECT_EQ(found["embedding_digest"], version["digest"]);
  EXPECT_EQ(found["passages"][0]["document"],
            "teams/default/collections/facts/documents/facts.txt");
  EXPECT_EQ(found["passages"][0]["begin"], 0);
  EXPECT_EQ(found["passages"][0]["end"], 33);
  fleet_.Write("questions.jsonl", R"({"question": "What opens?", "answer": "The vault."})");
  const json worth = fleet_.FloeJson({"docs", "evaluate", "facts", "questions.jsonl", "--model",
                                      "tiny", "--prompt", "text", "--top-k", "1"});
  EXPECT_EQ(worth["questions"], 1);
  EXPECT_LT(worth["log_likelihood_with"], 0);
  EXPECT_EQ(fleet_.Floe({"docs", "rm", "facts", "facts.txt"}).code, 0);
  for (const json& passage :
       fleet_.FloeJson({"docs", "search", "facts", "which vault opens?"})["passages"]) {
    EXPECT_EQ(passage["document"], "teams/default/collections/facts/documents/corpus.txt");
  }

  // Aligned, judged by the engine that serves, promoted because the evidence is better; and back.
  AlignAndPromote(version["digest"]);

  // The same in 8 bits: a version of its own, served by the same workers, and what it costs.
  said = fleet_.Floe({"models", "quantize", "tiny@1", "--dataset", "corpus"});
  EXPECT_EQ(said.code, 0) << said.out << said.err;
  EXPECT_THAT(said.out, HasSubstr("perplexity"));
  const json narrow = fleet_.FloeJson({"models", "show", "tiny@latest"});
  EXPECT_EQ(narrow["lineage"]["parent_digest"], version["digest"]);
  EXPECT_EQ(narrow["parameters"], version["parameters"]);
  std::map<std::string, double> perplexity;
  for (const json& evaluation : fleet_.FloeJson({"eval", "ls", "--dataset", "corpus"})) {
    if (evaluation["task"] != "text") continue;  // the version was inspected on it too
    perplexity[evaluation["model_digest"]] = evaluation["metrics"]["perplexity"];
  }
  ASSERT_TRUE(perplexity.contains(narrow["digest"]) && perplexity.contains(version["digest"]));
  EXPECT_NEAR(perplexity[narrow["digest"]] / perplexity[version["digest"]], 1, 0.02);
  EXPECT_NE(fleet_.Floe({"models", "quantize", "tiny@latest", "--dataset", "corpus"}).code, 0);

  // A key that may only look.
  const json key = fleet_.FloeJson({"keys", "create", "--name", "watcher", "--role", "viewer"});
  const std::string secret = absl::StrCat("FLOE_KEY=", key["secret"].get<std::string>());
  EXPECT_EQ(fleet_.Floe({"models", "ls"}, {secret}).code, 0);
  EXPECT_EQ(fleet_.Floe({"models", "promote", "tiny@1"}, {secret}).code, 4);
  EXPECT_EQ(fleet_.Floe({"chat", "tiny", "-m", "x"}, {secret}).code, 4);
  EXPECT_EQ(fleet_.Floe({"keys", "revoke", key["name"]}).code, 0);
  EXPECT_EQ(fleet_.Floe({"models", "ls"}, {secret}).code, 4);

  // A service that is killed comes back, and so does its work.
  const json killed = ServiceOf("registry");
  ::kill(killed["pid"].get<pid_t>(), SIGKILL);
  ASSERT_TRUE(fleet_.WaitUntilHealthy()) << fleet_.Floe({"status"}).out;
  const json again = ServiceOf("registry");
  EXPECT_NE(again["pid"], killed["pid"]);
  EXPECT_EQ(again["restarts"], 1);
  EXPECT_EQ(again["last_exit"], "killed by SIGKILL");
  EXPECT_EQ(fleet_.FloeJson({"models", "show", "tiny@1"})["digest"], version["digest"]);

  // A backup of the running fleet.
  EXPECT_EQ(fleet_.Floe({"backup", "saved"}).code, 0);
  EXPECT_NE(fleet_.Floe({"backup", "saved"}).code, 0) << "it is there already";

  // A byte that changes on disk is found, and named.
  std::string config_digest;
  for (const json& file : version["files"]) {
    if (file["name"] == "config.json") config_digest = file["digest"];
  }
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(fleet_.fleet() / "blobs")) {
    if (entry.is_regular_file() && entry.path().filename() == config_digest) {
      std::filesystem::permissions(entry.path(), std::filesystem::perms::owner_write,
                                   std::filesystem::perm_options::add);
      std::fstream(entry.path(), std::ios::in | std::ios::out) << "!";
    }
  }
  said = fleet_.Floe({"models", "verify", "tiny"});
  EXPECT_EQ(said.code, 7) << said.out;
  EXPECT_THAT(said.err, HasSubstr("config.json"));
  EXPECT_EQ(fleet_.Floe({"backup", "damaged"}).code, 7) << "damage is not kept for a copy";
  EXPECT_FALSE(std::filesystem::exists(fleet_.folder() / "damaged"));

  // Down leaves no process; up finds everything again.
  std::vector<cli::ProcessIdentity> processes;
  json status = fleet_.FloeJson({"status"});
  for (const json& service : status["services"]) {
    processes.push_back(*cli::IdentityOf(service["pid"].get<pid_t>()));
  }
  processes.push_back(*cli::IdentityOf(status["supervisor_pid"].get<pid_t>()));
  EXPECT_GE(processes.size(), cli::FleetServices().size() + 2) << "and Postgres, the supervisor";
  EXPECT_EQ(fleet_.Floe({"down"}).code, 0);
  for (const cli::ProcessIdentity& process : processes) EXPECT_FALSE(cli::IsAlive(process));
  EXPECT_EQ(fleet_.Floe({"status"}).code, 5);
  EXPECT_EQ(fleet_.FloeJson({"up"})["was_running"], false);
  EXPECT_EQ(fleet_.FloeJson({"models", "ls"})[0]["name"], "teams/default/models/tiny");
  EXPECT_NE(fleet_.Floe({"restore", "saved"}).code, 0) << "the folder is not empty";
  EXPECT_EQ(fleet_.Floe({"down"}).code, 0);

  // The backup gives back what it took, whole, in an empty folder.
  std::filesystem::remove_all(fleet_.fleet());
  said = fleet_.Floe({"restore", "saved", "--dir", fleet_.fleet()});
  ASSERT_EQ(said.code, 0) << said.err;
  fleet_.FloeJson({"up", "--dir", fleet_.fleet()});
  EXPECT_EQ(fleet_.FloeJson({"models", "show", "tiny@1"})["digest"], version["digest"]);
  EXPECT_EQ(fleet_.Floe({"models", "verify", "tiny"}).code, 0);
  ExpectVerified(requests);
  EXPECT_EQ(fleet_.Floe(chat).out, first.out) << "the same model gives the same answer";
  ExpectVerified(requests + 1);
  EXPECT_EQ(fleet_.Floe({"down"}).code, 0);
}

}  // namespace
}  // namespace floe::test
