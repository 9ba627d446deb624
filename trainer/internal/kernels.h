// The transformer's small operations, each as one pass over memory, forward beside backward. Plain
// float arrays, row-major; the matrix products around them are BLAS'.
//
// Pure and thread-safe; callers spread rows over threads. Results depend on the instruction set and
// never on how rows were spread. Backward kernels of parameters add to what is there.
#pragma once

#include <cstdint>

namespace floe::trainer::kernels {

// y = x * rstd * gain with rstd = 1 / sqrt(mean(x^2) + eps), over rows of `width`
// (arXiv:1910.07467).
void RmsNorm(const float* x, const float* gain, float eps, int64_t rows, int64_t width, float* y,
             float* rstd);
void RmsNormBackward(const float* dy, const float* x, const float* gain, const float* rstd,
                     int64_t rows, int64_t width, float* dx, float* dgain);

// Where the heads of one token lie: a row is [q heads | k heads | v heads], each head_dim wide.
struct HeadLayout {
  int64_t num_heads = 0;
  int64_t num_kv_heads = 0;
  int64_t head_dim = 0;
  int64_t sequence = 0;  // T: tokens a sequence

  int64_t row_width() const { return (num_heads + 2 * num_kv_heads) * head_dim; }
  int64_t normed_heads() const { return num_heads + num_kv_heads; }
};

// What turns a token's q and k: gains of QK-norm and RoPE's angles by position (null: none).
struct HeadTurn {
  const float* q_gain = nullptr;  // [head_dim]
  const float* k_gain = nullptr;
  float eps = 0;
  const float* cos = nullptr;  // [T, head_dim / 2]
  const float* sin = nullptr;
};

// Tokens [begin, end) of the batch's B * T: row -> q [B, H, T, head_dim], k and v [B, KV, T,
// head_dim]; q and k normed, then turned by half-split RoPE (arXiv:2104.09864 in Hugging Face's
// layout). `rstd` is [B * T, H + KV], written when there are gains.
void SplitHeads(const float* rows, const HeadLayout& layout, const HeadTurn& turn, int64_t begin,
                int64_t end, float* q, float* k, float* v, float* rstd);
void SplitHeadsBackward(const float* dq, const float* dk, const float* dv, const float* rows,
                        const float* rstd, const HeadLayout& layout, const HeadTurn& turn,
                        int64_t begin, int64_t end, float* drows, float* dq_gain, float* dk_gain);

// In place: s[0..count) = softmax(scale * s[0..count)), s[count..width) = 0. Returns
// log(sum(exp(scale * s))).
float CausalSoftmaxRow(float* s, int64_t count, int64_t width, float scale);
// The same from the stored logarithm: p = exp(scale * s - log_sum).
void CausalSoftmaxAgain(float* s, int64_t count, int64_t width, float scale, float log_sum);
// In place on dp: ds = p * (dp - dot) * scale for the first `count`, zero behind. dot = sum(dp *
// p).
void CausalSoftmaxBackward(const float* p, float* dp, float dot, int64_t count, int64_t width,
                           float scale);
float Dot(const float* a, const float* b, int64_t width);

// rows [n, 2F] = [gate | up] -> out [n, F] = silu(gate) * up.
void SwiGlu(const float* rows, int64_t count, int64_t ffn_hidden, float* out);
void SwiGluBackward(const float* dout, const float* rows, int64_t count, int64_t ffn_hidden,
                    float* drows);

// -log softmax(logits)[target]. With `scale` other than 0, logits become the gradient of scale *
// loss.
float CrossEntropyRow(float* logits, int64_t vocab_size, int64_t target, float scale);

// One step of AdamW (arXiv:1711.05101) on a run of parameters; `grad` is multiplied by grad_scale.
struct AdamWStep {
  float learning_rate = 0;
  float beta1 = 0, beta2 = 0, eps = 0;
  float weight_decay = 0;
  float grad_scale = 1;
  float correction1 = 1, correction2 = 1;  // 1 - beta^step
};
void AdamW(const AdamWStep& step, const float* grad, int64_t count, float* parameter, float* m,
           float* v);

double SumOfSquares(const float* values, int64_t count);

}  // namespace floe::trainer::kernels
