// What a worker signs for: an attempt with all that it took, chained to the one before it.
//
// Each run of a worker has a chain of its own. A receipt's digest covers the record and the digest
// of the receipt before it, so nobody can change, drop or slip in a record of the past without the
// next one, or the gateway that was handed the digest with the answer, telling.
#pragma once

#include <string>

#include "billing/usage_event.h"

namespace floe::billing {

// SHA-256, in hexadecimal, of the attempt and its place in the chain; `receipt.digest` itself is
// left out. Times count in whole microseconds, as the database keeps them.
std::string ReceiptDigest(const Attempt& attempt);

// One run's receipts in the making. Not thread-safe.
class ReceiptChain {
 public:
  explicit ReceiptChain(std::string name) : name_(std::move(name)) {}
  // Gives the attempt its receipt: the next of the chain.
  void Sign(Attempt& attempt);

 private:
  const std::string name_;
  int64_t sequence_ = 0;
  std::string last_digest_;
};

}  // namespace floe::billing
