// A grammar over bytes, compiled: a recursive transition network (Woods 1970), that is, one
// automaton a rule whose edges are bytes or calls of rules.
//
// Every node of it can still reach the end of a text: parts that could not are taken out when it is
// compiled. Grammars and their sizes come from outside; what does not fit the limits here is
// refused.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"

#include "inference/grammar/expression.h"

namespace floe::inference::grammar {

using NodeId = int32_t;

// Most nodes of one grammar: 16 bytes each.
inline constexpr size_t kMaxNodes = 32768;

struct Node {
  enum class Kind : uint8_t {
    kEnd,    // of a rule: back to who called it
    kFail,   // leads nowhere
    kBytes,  // one byte in [low, high], then `next`
    kSplit,  // `next` or `other`, without a byte
    kCall,   // the rule that begins at `other`, then `next`
  };
  Kind kind = Kind::kFail;
  uint8_t low = 0;
  uint8_t high = 0;
  NodeId next = 0;
  NodeId other = 0;
  bool operator==(const Node&) const = default;
};

// Immutable and thread-safe.
class Grammar {
 public:
  static constexpr NodeId kEndNode = 0;

  // INVALID_ARGUMENT says what is wrong with it: it is too large, matches no text, or a rule calls
  // itself before it has taken a byte (left recursion).
  static absl::StatusOr<Grammar> Compile(const Draft& draft);

  NodeId start() const { return start_; }
  const Node& node(NodeId id) const { return nodes_[static_cast<size_t>(id)]; }
  size_t size() const { return nodes_.size(); }

  // Bytes that no node tells apart are of one class.
  int num_classes() const { return static_cast<int>(byte_of_class_.size()); }
  int ClassOf(uint8_t byte) const { return class_of_byte_[byte]; }
  uint8_t ByteOf(int byte_class) const { return byte_of_class_[static_cast<size_t>(byte_class)]; }

 private:
  Grammar(std::vector<Node> nodes, NodeId start);

  std::vector<Node> nodes_;
  NodeId start_ = 0;
  std::array<uint8_t, 256> class_of_byte_ = {};
  std::vector<uint8_t> byte_of_class_;
};

}  // namespace floe::inference::grammar
