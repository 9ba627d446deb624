#include "trainer/internal/data_parallel.h"

#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

#include "base/status_macros.h"

namespace floe::trainer {
namespace {

absl::Status WaitForAll(const std::vector<ProcessGroup::Pending>& pending) {
  absl::Status first;
  for (const auto& wait : pending) first.Update(wait());
  return first;
}

}  // namespace

std::vector<int> OwnersBySize(std::span<const int64_t> sizes, int ranks) {
  std::vector<size_t> order(sizes.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return sizes[a] > sizes[b]; });
  std::vector<int64_t> load(static_cast<size_t>(ranks));
  std::vector<int> owners(sizes.size());
  for (const size_t i : order) {
    const auto least = std::min_element(load.begin(), load.end());
    *least += sizes[i];
    owners[i] = static_cast<int>(least - load.begin());
  }
  return owners;
}

// Gradients that travel together; a parameter's lies at its offset.
struct DataParallel::Bucket {
  std::vector<size_t> parameters;
  std::vector<int64_t> offsets;
  size_t missing = 0;  // gradients that this backward has not made yet
  at::Tensor values;
  ProcessGroup::Pending sum;
};

// Called behind the node that adds a gradient to its parameter.
class DataParallel::Hook final : public torch::autograd::FunctionPostHook {
 public:
  Hook(DataParallel& parallel, size_t parameter) : parallel_(parallel), parameter_(parameter) {}
  std::vector<at::Tensor> operator()(const std::vector<at::Tensor>& outputs,
                                     const std::vector<at::Tensor>&) override {
    parallel_.OnGradient(parameter_);
    return outputs;
  }

 private:
  DataParallel& parallel_;
  const size_t parameter_;
};

struct DataParallel::Listener {
  std::shared_ptr<torch::autograd::Node> node;  // parameters hold theirs weakly
  uintptr_t key = 0;
};

DataParallel::DataParallel(ProcessGroup* group, std::vector<Parameter>& parameters,
                           int64_t bucket_elements)
    : group_(group), parameters_(parameters) {
  std::vector<int64_t> sizes;
  for (const Parameter& parameter : parameters_) sizes.push_back(parameter.value.numel());
  owners_ = OwnersBySize(sizes, size());
  for (size_t i = 0; i < parameters_.size(); ++i) {
    if (owners_[i] == rank()) owned_.push_back(parameters_[i]);
  }
  if (group_ == nullptr) return;
  bucket_of_.resize(parameters_.size());
  int64_t filled = bucket_elements;
  for (size_t i = parameters_.size(); i-- > 0;) {  // backward makes the last layer's first
    if (filled >= bucket_elements) {
      buckets_.push_back(std::make_unique<Bucket>());
      filled = 0;
    }
    buckets_.back()->parameters.push_back(i);
    buckets_.back()->offsets.push_back(filled);
    bucket_of_[i] = buckets_.size() - 1;
    filled += sizes[i];
    auto node = torch::autograd::impl::grad_accumulator(parameters_[i].value);
    const uintptr_t key = node->add_post_hook(std::make_unique<Hook>(*this, i));
    listeners_.push_back({std::move(node), key});
  }
}

DataParallel::~DataParallel() {
  for (const Listener& listener : listeners_) listener.node->del_post_hook(listener.key);
}

void DataParallel::BeginBackward() {
  if (group_ == nullptr) return;
  for (const auto& bucket : buckets_) bucket->missing = bucket->parameters.size();
  next_ = 0;
  listening_ = true;
}

void DataParallel::OnGradient(size_t parameter) {
  if (!listening_) return;
  --buckets_[bucket_of_[parameter]]->missing;
  // All processes launch in one order, whichever bucket is full first.
  while (next_ < buckets_.size() && buckets_[next_]->missing == 0) Launch(*buckets_[next_++]);
}

void DataParallel::Launch(Bucket& bucket) {
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> flat;
  for (const size_t i : bucket.parameters) {
    const at::Tensor& value = parameters_[i].value;
    // Without a token of its own a process has no gradient, and adds nothing to the others'.
    flat.push_back(value.grad().defined() ? value.grad().reshape({-1})
                                          : at::zeros({value.numel()}, value.options()));
  }
  bucket.values = at::cat(flat);
  bucket.sum = group_->Sum(bucket.values);
}

absl::Status DataParallel::FinishBackward() {
  if (group_ == nullptr) return absl::OkStatus();
  listening_ = false;
  while (next_ < buckets_.size()) Launch(*buckets_[next_++]);
  absl::Status first;
  for (const auto& bucket : buckets_) first.Update(bucket->sum());
  FLOE_RETURN_IF_ERROR(first);
  for (const auto& bucket : buckets_) {
    for (size_t k = 0; k < bucket->parameters.size(); ++k) {
      at::Tensor& value = parameters_[bucket->parameters[k]].value;
      value.mutable_grad() =
          bucket->values.narrow(0, bucket->offsets[k], value.numel()).view(value.sizes());
    }
    bucket->values.reset();  // lives as long as the gradients in it
    bucket->sum = nullptr;
  }
  return absl::OkStatus();
}

absl::Status DataParallel::ShareWeights() {
  if (group_ == nullptr) return absl::OkStatus();
  const at::NoGradGuard no_grad;
  std::vector<ProcessGroup::Pending> pending;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    parameters_[i].value.mutable_grad().reset();
    pending.push_back(group_->Broadcast(parameters_[i].value.detach(), owners_[i]));
  }
  return WaitForAll(pending);
}

absl::Status DataParallel::Broadcast(std::span<double> values, int from) {
  if (group_ == nullptr) return absl::OkStatus();
  return group_->Broadcast(at::from_blob(values.data(), {std::ssize(values)}, at::kDouble), from)();
}

absl::Status DataParallel::Sum(std::span<double> values) {
  if (group_ == nullptr) return absl::OkStatus();
  return group_->Sum(at::from_blob(values.data(), {std::ssize(values)}, at::kDouble))();
}

absl::Status DataParallel::GatherToRankZero(std::vector<StateTensor>& tensors,
                                            std::vector<std::vector<float>>& buffers) {
  if (group_ == nullptr) return absl::OkStatus();
  if (inventories_.empty()) {
    std::string inventory;  // <name>=<size>;...
    for (const StateTensor& tensor : tensors) {
      absl::StrAppend(&inventory, tensor.name, "=", tensor.values.size(), ";");
    }
    FLOE_ASSIGN_OR_RETURN(inventories_, group_->Exchange("state", inventory));
  }
  if (rank() != 0) {
    for (const StateTensor& tensor : tensors) {
      // c10d takes no constant tensor; sending only reads it.
      FLOE_RETURN_IF_ERROR(group_->Send(
          at::from_blob(const_cast<float*>(tensor.values.data()), {std::ssize(tensor.values)}),
          0)());
    }
    return absl::OkStatus();
  }
  for (int from = 1; from < size(); ++from) {
    for (const absl::string_view entry :
         absl::StrSplit(inventories_[static_cast<size_t>(from)], ';', absl::SkipEmpty())) {
      const std::pair<std::string, std::string> parts = absl::StrSplit(entry, '=');
      size_t count = 0;
      if (!absl::SimpleAtoi(parts.second, &count)) {
        return absl::InternalError(
            absl::StrCat("rank ", from, " tells of a state \"", entry, "\""));
      }
      std::vector<float>& buffer = buffers.emplace_back(count);
      FLOE_RETURN_IF_ERROR(
          group_->Receive(at::from_blob(buffer.data(), {std::ssize(buffer)}), from)());
      tensors.push_back({parts.first, buffer});
    }
  }
  return absl::OkStatus();
}

}  // namespace floe::trainer
