#include "cli/bill/bill_text.h"

#include <google/protobuf/util/time_util.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "cli/commands/when.h"
#include "cli/output/human.h"

#include "base/status_macros.h"
#include "billing/money/money.h"
#include "billing/report.h"

namespace floe::cli {
namespace {

using Json = nlohmann::ordered_json;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::util::TimeUtil;

// Field `field` of `message`; `index` below zero: not repeated.
Json ValueJson(const Message& message, const FieldDescriptor& field, int index) {
  const auto& reflection = *message.GetReflection();
  const bool one = index < 0;
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING: {
      std::string scratch;
      return one ? reflection.GetStringReference(message, &field, &scratch)
                 : reflection.GetRepeatedStringReference(message, &field, index, &scratch);
    }
    case FieldDescriptor::CPPTYPE_INT64:
      return one ? reflection.GetInt64(message, &field)
                 : reflection.GetRepeatedInt64(message, &field, index);
    case FieldDescriptor::CPPTYPE_INT32:
      return one ? reflection.GetInt32(message, &field)
                 : reflection.GetRepeatedInt32(message, &field, index);
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return one ? reflection.GetDouble(message, &field)
                 : reflection.GetRepeatedDouble(message, &field, index);
    case FieldDescriptor::CPPTYPE_BOOL:
      return one ? reflection.GetBool(message, &field)
                 : reflection.GetRepeatedBool(message, &field, index);
    case FieldDescriptor::CPPTYPE_ENUM:
      return one ? reflection.GetEnum(message, &field)->name()
                 : reflection.GetRepeatedEnum(message, &field, index)->name();
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return MessageJson(one ? reflection.GetMessage(message, &field)
                             : reflection.GetRepeatedMessage(message, &field, index));
    default:
      return nullptr;  // no contract of billing has another type
  }
}

Json FieldJson(const Message& message, const FieldDescriptor& field) {
  const auto& reflection = *message.GetReflection();
  if (field.is_map()) {
    Json map = Json::object();
    for (int i = 0; i < reflection.FieldSize(message, &field); ++i) {
      const Json entry = MessageJson(reflection.GetRepeatedMessage(message, &field, i));
      map[entry["key"].get<std::string>()] = entry["value"];
    }
    return map;
  }
  if (field.is_repeated()) {
    Json array = Json::array();
    for (int i = 0; i < reflection.FieldSize(message, &field); ++i) {
      array.push_back(ValueJson(message, field, i));
    }
    return array;
  }
  const bool unset =
      field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE && !reflection.HasField(message, &field);
  return unset ? Json() : ValueJson(message, field, -1);
}

}  // namespace

std::string Dollars(const billing::v1::Money& money) {
  const auto amount =
      billing::Money::Parse(money.picodollars().empty() ? "0" : money.picodollars());
  if (!amount.ok()) return "?";
  return amount->picos() < 0 ? absl::StrCat("-$", (-*amount).ToDollars())
                             : absl::StrCat("$", amount->ToDollars());
}

absl::StatusOr<billing::v1::Money> ParseDollars(const std::string& text) {
  FLOE_ASSIGN_OR_RETURN(const auto amount,
                        billing::Money::ParseDollars(std::string(absl::StripPrefix(text, "$"))));
  billing::v1::Money money;
  money.set_picodollars(amount.ToString());
  money.set_currency("USD");
  return money;
}

std::vector<std::string> UsedCells(const billing::v1::JobQuantities& used) {
  return {HumanCount(used.attempts()), HumanCount(used.tokens()),
          HumanFlops(1e9 * static_cast<double>(used.gigaflop())),
          HumanDuration(DurationOf(used.core_time()))};
}

google::protobuf::Timestamp TimestampOf(absl::Time time) {
  return TimeUtil::NanosecondsToTimestamp(absl::ToUnixNanos(time));
}
google::protobuf::Duration DurationOf(absl::Duration duration) {
  return TimeUtil::NanosecondsToDuration(absl::ToInt64Nanoseconds(duration));
}
absl::Duration DurationOf(const google::protobuf::Duration& duration) {
  return absl::Seconds(duration.seconds()) + absl::Nanoseconds(duration.nanos());
}

absl::StatusOr<billing::v1::Interval> IntervalOf(const IntervalFlags& flags) {
  billing::v1::Interval interval;
  if (!flags.month.empty()) {
    FLOE_ASSIGN_OR_RETURN(const auto month, billing::ParseMonth(flags.month));
    *interval.mutable_start() = TimestampOf(billing::IntervalOf(month).start);
    *interval.mutable_end() = TimestampOf(billing::IntervalOf(month).end);
  }
  if (!flags.from.empty()) {
    FLOE_ASSIGN_OR_RETURN(const absl::Time from, ParseWhen(flags.from));
    *interval.mutable_start() = TimestampOf(from);
  }
  if (!flags.to.empty()) {
    FLOE_ASSIGN_OR_RETURN(const absl::Time to, ParseWhen(flags.to));
    *interval.mutable_end() = TimestampOf(to);
  }
  return interval;
}

Json MessageJson(const Message& message) {
  if (const auto* time = dynamic_cast<const google::protobuf::Timestamp*>(&message)) {
    return TimeUtil::ToString(*time);
  }
  if (const auto* duration = dynamic_cast<const google::protobuf::Duration*>(&message)) {
    return absl::ToDoubleSeconds(DurationOf(*duration));
  }
  if (const auto* money = dynamic_cast<const billing::v1::Money*>(&message)) {
    const std::string picos = money->picodollars().empty() ? "0" : money->picodollars();
    const auto amount = billing::Money::Parse(picos);
    return {{"picodollars", picos}, {"dollars", amount.ok() ? amount->ToDollars() : "?"}};
  }
  Json json = Json::object();
  const auto& descriptor = *message.GetDescriptor();
  for (int i = 0; i < descriptor.field_count(); ++i) {
    json[descriptor.field(i)->name()] = FieldJson(message, *descriptor.field(i));
  }
  return json;
}

}  // namespace floe::cli
