#include "gateway/pipeline.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "tests/support/fake_clock.h"

namespace floe::gateway {
namespace {

namespace asio = boost::asio;
using testing::ElementsAre;
using Log = std::vector<std::string>;

// Writes down what is done to it, and does what it is told.
class Recorder final : public Stage {
 public:
  enum class What { kPass, kRefuse, kThrow, kWait };
  // `name` is a literal, as those of stages are: what was timed outlives the pipeline.
  Recorder(const char* name, Log& log, What what = What::kPass, test::FakeClock* clock = nullptr)
      : name_(name), log_(log), what_(what), clock_(clock) {}

  std::string_view name() const override { return name_; }
  Awaitable<absl::Status> Enter(Request& request) override {
    log_.push_back(std::string("enter ") + name_);
    if (clock_ != nullptr) clock_->Advance(absl::Milliseconds(5));
    switch (what_) {
      case What::kRefuse:
        co_return absl::PermissionDeniedError("no");
      case What::kThrow:
        throw std::runtime_error("third party");
      case What::kWait: {
        asio::steady_timer timer(co_await asio::this_coro::executor,
                                 asio::steady_timer::time_point::max());
        co_await timer.async_wait(asio::use_awaitable);
        break;
      }
      case What::kPass:
        break;
    }
    co_return absl::OkStatus();
  }
  void Leave(Request& request) noexcept override { log_.push_back(std::string("leave ") + name_); }

 private:
  const char* const name_;
  Log& log_;
  const What what_;
  test::FakeClock* const clock_;
};

class PipelineTest : public testing::Test {
 protected:
  Pipeline Make(Recorder::What second, Recorder::What third = Recorder::What::kPass) {
    std::vector<std::unique_ptr<Stage>> stages;
    stages.push_back(std::make_unique<Recorder>("a", log_, Recorder::What::kPass, &clock_));
    stages.push_back(std::make_unique<Recorder>("b", log_, second, &clock_));
    stages.push_back(std::make_unique<Recorder>("c", log_, third, &clock_));
    return Pipeline(std::move(stages), clock_);
  }
  void Spawn(asio::io_context& io, const Pipeline& pipeline) {
    asio::co_spawn(
        io,
        [&]() -> Awaitable<void> {
          result_ = co_await pipeline.Run(request_);
          log_.push_back("end");
        },
        asio::bind_cancellation_slot(cancel_.slot(), asio::detached));
  }
  absl::Status Run(const Pipeline& pipeline) {
    asio::io_context io;
    Spawn(io, pipeline);
    io.run();
    return result_.value();
  }

  test::FakeClock clock_;
  Log log_;
  Request request_;
  asio::cancellation_signal cancel_;
  std::optional<absl::Status> result_;
};

TEST_F(PipelineTest, EntersInOrderAndLeavesInReverse) {
  EXPECT_TRUE(Run(Make(Recorder::What::kPass)).ok());
  EXPECT_THAT(log_,
              ElementsAre("enter a", "enter b", "enter c", "leave c", "leave b", "leave a", "end"));
}

TEST_F(PipelineTest, ARefusalLeavesOnlyWhatWasEntered) {
  EXPECT_EQ(Run(Make(Recorder::What::kRefuse)).code(), absl::StatusCode::kPermissionDenied);
  EXPECT_THAT(log_, ElementsAre("enter a", "enter b", "leave a", "end"));
}

TEST_F(PipelineTest, AnExceptionIsAnErrorThatLeaves) {
  const absl::Status status = Run(Make(Recorder::What::kPass, Recorder::What::kThrow));
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(log_, ElementsAre("enter a", "enter b", "enter c", "leave b", "leave a", "end"));
}

TEST_F(PipelineTest, ACancelledRequestLeavesAndIsCancelled) {
  const Pipeline pipeline = Make(Recorder::What::kWait);
  asio::io_context io;
  Spawn(io, pipeline);
  io.poll();
  EXPECT_THAT(log_, ElementsAre("enter a", "enter b"));
  cancel_.emit(asio::cancellation_type::terminal);
  io.run();
  ASSERT_GE(log_.size(), 3u);
  EXPECT_EQ(log_[2], result_->ok() ? "enter c" : "leave a");
  // The wait ended by cancellation is no success, and nothing further was entered.
  EXPECT_EQ(result_->code(), absl::StatusCode::kCancelled);
  EXPECT_THAT(log_, testing::Not(testing::Contains("enter c")));
}

TEST_F(PipelineTest, ARequestThatIsDroppedWithItsServerLeaves) {
  const Pipeline pipeline = Make(Recorder::What::kPass, Recorder::What::kWait);
  {
    asio::io_context io;
    Spawn(io, pipeline);
    io.poll();
  }
  EXPECT_THAT(log_, ElementsAre("enter a", "enter b", "enter c", "leave b", "leave a"));
}

TEST_F(PipelineTest, TimesEveryStageThatWasTried) {
  EXPECT_FALSE(Run(Make(Recorder::What::kRefuse)).ok());
  ASSERT_EQ(request_.times.size(), 2u);
  EXPECT_EQ(request_.times[1].stage, "b");
  EXPECT_EQ(request_.times[1].took, absl::Milliseconds(5));
}

}  // namespace
}  // namespace floe::gateway
