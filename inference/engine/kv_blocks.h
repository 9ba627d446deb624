// Which sequence holds which blocks of a KV cache: the bookkeeping, without the keys and values.
//
// Sequences of one salt share whole blocks of the tokens that they begin with. A shared block is
// never written to: what a sequence appends goes into blocks behind those. A block that nobody
// holds any more but that stands for a prefix counts as free and keeps its content until no other
// block is left; then the one that was used least recently goes.
#pragma once

#include <cstdint>
#include <list>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "inference/engine/attention.h"
#include "inference/engine/engine.h"
#include "inference/engine/prefix_index.h"

namespace floe::inference {

// Used by one thread at a time.
class KvBlocks {
 public:
  // INVALID_ARGUMENT for a number that cannot be.
  static absl::StatusOr<KvBlocks> Create(int64_t num_blocks);

  SequenceId Open(std::string_view salt = {});
  void Close(SequenceId sequence);
  bool IsOpen(SequenceId sequence) const { return sequences_.contains(sequence); }
  int64_t Length(SequenceId sequence) const { return sequences_.at(sequence).length; }
  // Room for `tokens` beyond the length; see Engine::Reserve.
  absl::Status Reserve(SequenceId sequence, int64_t tokens);
  // Blocks that Reserve would take.
  int64_t BlocksMissing(SequenceId sequence, int64_t tokens) const;
  // Counts `tokens` that have been written; they must be reserved.
  void Advance(SequenceId sequence, int64_t tokens) { sequences_.at(sequence).length += tokens; }
  KvUsage usage() const;

  // See the methods of Engine by these names.
  int64_t Adopt(SequenceId sequence, std::span<const int32_t> tokens);
  void Share(SequenceId sequence, std::span<const int32_t> tokens);
  void Truncate(SequenceId sequence, int64_t length);
  KvHolding Holding(SequenceId sequence) const;

  // The sequence's block numbers; valid until its next Reserve or Close.
  const int32_t* Blocks(SequenceId sequence) const { return sequences_.at(sequence).blocks.data(); }

 private:
  struct Sequence {
    std::string salt;  // empty: shares nothing
    std::vector<int32_t> blocks;
    int64_t length = 0;
    int64_t shared = 0;  // of the blocks, from the first: those that stand in the index
    int64_t node = 0;    // of the last of them
  };
  struct Block {
    int64_t holders = 0;                  // sequences
    std::list<int32_t>::iterator unheld;  // in unheld_, where it stands for a prefix and has none
  };

  explicit KvBlocks(int64_t num_blocks);
  PrefixKey KeyOf(const Sequence& sequence, std::span<const int32_t> tokens) const;
  int32_t Take();
  void Hold(int32_t block);
  void Release(int32_t block);

  std::vector<Block> blocks_;
  std::vector<int32_t> free_;  // that stand for no prefix
  std::list<int32_t> unheld_;  // that do, and nobody holds; the least recently used first
  PrefixIndex index_;
  int64_t total_ = 0;
  SequenceId next_id_ = 1;
  std::unordered_map<SequenceId, Sequence> sequences_;
};

}  // namespace floe::inference
