// The detectors that every policy may name. Each is a candidate pattern, and a checksum where the
// kind of number has one.
#include <array>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "base/view.h"
#include "gateway/guardrails/detector.h"

namespace floe::gateway::guardrails {
namespace {

bool IsDigit(char c) { return absl::ascii_isdigit(static_cast<unsigned char>(c)); }

// ISO/IEC 7812-1, annex B.
bool PassesLuhn(const std::string& digits) {
  int sum = 0;
  for (size_t i = 0; i < digits.size(); ++i) {
    int digit = digits[digits.size() - 1 - i] - '0';
    if (i % 2 == 1) digit = digit > 4 ? 2 * digit - 9 : 2 * digit;
    sum += digit;
  }
  return sum % 10 == 0;
}

// The longest prefix of 13 to 19 digits that passes, not followed by another digit.
size_t CardLength(std::string_view candidate, char next) {
  std::string digits;
  size_t best = 0;
  for (size_t i = 0; i < candidate.size(); ++i) {
    if (!IsDigit(candidate[i])) continue;
    digits += candidate[i];
    const char after = i + 1 < candidate.size() ? candidate[i + 1] : next;
    const bool same_digits = digits.find_first_not_of(digits[0]) == std::string::npos;
    if (digits.size() >= 13 && digits.size() <= 19 && !IsDigit(after) && !same_digits &&
        PassesLuhn(digits)) {
      best = i + 1;
    }
  }
  return best;
}

// ISO 13616: the first four characters go last, letters become 10 to 35, the number is 1 modulo 97.
size_t IbanLength(std::string_view candidate, char next) {
  std::string compact;
  size_t best = 0;
  for (size_t i = 0; i < candidate.size(); ++i) {
    if (candidate[i] == ' ') continue;
    compact += absl::ascii_toupper(static_cast<unsigned char>(candidate[i]));
    const char after = i + 1 < candidate.size() ? candidate[i + 1] : next;
    if (compact.size() < 15 || compact.size() > 34 ||
        absl::ascii_isalnum(static_cast<unsigned char>(after))) {
      continue;
    }
    int remainder = 0;
    for (size_t k = 0; k < compact.size(); ++k) {
      const char c = compact[(k + 4) % compact.size()];
      remainder =
          IsDigit(c) ? (remainder * 10 + (c - '0')) % 97 : (remainder * 100 + (c - 'A' + 10)) % 97;
    }
    if (remainder == 1) best = i + 1;
  }
  return best;
}

// E.164 allows 15 digits; fewer than 8 are no phone number that a person would give.
size_t PhoneLength(std::string_view candidate, char next) {
  size_t digits = 0;
  for (const char c : candidate) digits += IsDigit(c) ? 1 : 0;
  return digits >= 8 && digits <= 15 && !IsDigit(next) ? candidate.size() : 0;
}

std::string InjectionPattern() {
  // Verb, then whose or which, then what; any white space between.
  const std::string gap = "\\s{1,4}";
  const std::array<std::string, 6> phrases = {
      absl::StrCat("(?:ignore|disregard|forget|override|bypass)", gap,
                   "(?:(?:all|any|the|your|my|of)", gap,
                   "){0,3}(?:previous|prior|above|earlier|preceding|system|original)", gap,
                   "(?:instructions?|prompts?|rules?|directions?|messages?|guidelines?|context)"),
      absl::StrCat("(?:reveal|show|print|repeat|output|leak)", gap, "(?:me", gap, ")?(?:your|the)",
                   gap, "(?:(?:hidden|secret|initial|full|original)", gap, ")?(?:system", gap,
                   ")?(?:prompt|instructions)"),
      absl::StrCat("you", gap, "are", gap, "now", gap, "(?:in", gap, ")?(?:dan|developer", gap,
                   "mode|jailbroken|unrestricted)"),
      absl::StrCat("(?:pretend|act)", gap, "(?:as", gap, "if", gap, ")?(?:you", gap,
                   ")?(?:have|had|with)", gap, "no", gap,
                   "(?:restrictions|rules|limits|guidelines|filters)"),
      absl::StrCat("(?:new|updated)", gap, "(?:system", gap, ")?instructions\\s{0,4}:"),
      "<\\|(?:im_start|im_end|system|endoftext)\\|>"};
  return absl::StrCat("(?i:", absl::StrJoin(phrases, "|"), ")");
}

std::string SecretPattern() {
  const std::array<std::string, 8> shapes = {
      "AKIA[0-9A-Z]{16}",                // AWS access key id
      "gh[pousr]_[A-Za-z0-9]{36,76}",    // GitHub token
      "sk-[A-Za-z0-9_-]{20,120}",        // OpenAI and alike
      "floe-[A-Za-z0-9_-]{40,80}",       // ours
      "xox[abprs]-[A-Za-z0-9-]{10,80}",  // Slack
      "AIza[0-9A-Za-z_-]{35}",           // Google API key
      "eyJ[A-Za-z0-9_-]{10,200}\\.eyJ[A-Za-z0-9_-]{10,400}\\.[A-Za-z0-9_-]{10,400}",  // JWT
      "-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----"};
  return absl::StrJoin(shapes, "|");
}

struct BuiltIn {
  std::string_view name;
  Detector::Options (*options)();
};

const std::array<BuiltIn, 6>& BuiltIns() {
  static const std::array<BuiltIn, 6> kBuiltIns = {{
      {"email",
       [] {
         return Detector::Options{
             .pattern = "[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\\.){1,4}[A-Za-z]{2,24}",
             .max_length = 256,
             .not_inside_word = true};
       }},
      {"phone",
       [] {
         return Detector::Options{.pattern = "(?:\\+|\\(0|0)[0-9](?:[ ./()-]{0,2}[0-9]){6,15}",
                                  .validator = PhoneLength,
                                  .max_length = 48,
                                  .not_inside_word = true};
       }},
      {"iban",
       [] {
         return Detector::Options{.pattern = "[A-Za-z]{2}[0-9]{2}(?: ?[A-Za-z0-9]){11,30}",
                                  .validator = IbanLength,
                                  .max_length = 68,
                                  .not_inside_word = true};
       }},
      {"card",
       [] {
         return Detector::Options{.pattern = "[0-9](?:[ -]?[0-9]){12,30}",
                                  .validator = CardLength,
                                  .max_length = 64,
                                  .not_inside_word = true};
       }},
      {"secret",
       [] {
         return Detector::Options{
             .pattern = SecretPattern(), .max_length = 1024, .not_inside_word = true};
       }},
      {"injection",
       [] {
         return Detector::Options{
             .pattern = InjectionPattern(), .max_length = 160, .not_inside_word = true};
       }},
  }};
  return kBuiltIns;
}

}  // namespace

absl::StatusOr<Detector> BuiltInDetector(std::string_view name) {
  for (const BuiltIn& built_in : BuiltIns()) {
    if (built_in.name != name) continue;
    Detector::Options options = built_in.options();
    options.name = name;
    return Detector::Create(std::move(options));
  }
  std::vector<std::string> names;
  for (const std::string_view known : BuiltInDetectorNames()) names.emplace_back(known);
  return absl::NotFoundError(absl::StrCat("there is no detector \"", AbslView(name),
                                          "\"; there are ", absl::StrJoin(names, ", ")));
}

std::vector<std::string_view> BuiltInDetectorNames() {
  std::vector<std::string_view> names;
  for (const BuiltIn& built_in : BuiltIns()) names.push_back(built_in.name);
  return names;
}

}  // namespace floe::gateway::guardrails
