// Between the time of absl and that of protobuf. Inexact only beyond protobuf's range.
#pragma once

#include "absl/time/time.h"
#include <google/protobuf/duration.pb.h>
#include <google/protobuf/timestamp.pb.h>

namespace floe::runtime {

// Down to a microsecond, as Postgres keeps it: an answer is the same before and after it was
// stored.
google::protobuf::Timestamp ToProto(absl::Time time);
google::protobuf::Duration ToProto(absl::Duration duration);
absl::Time FromProto(const google::protobuf::Timestamp& proto);
absl::Duration FromProto(const google::protobuf::Duration& proto);

}  // namespace floe::runtime
