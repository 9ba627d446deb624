// The filters, tests, functions and methods of the subset: the parser refuses others, and the
// renderer knows each of them.
#pragma once

#include <algorithm>
#include <array>
#include <string_view>

namespace floe::tokenizer::jinja {

inline constexpr std::array<std::string_view, 23> kFilterNames = {
    "capitalize", "count",  "d",          "default", "first",  "int",    "items",      "join",
    "last",       "length", "list",       "lower",   "map",    "reject", "rejectattr", "replace",
    "reverse",    "select", "selectattr", "string",  "tojson", "trim",   "upper"};
inline constexpr std::array<std::string_view, 24> kTestNames = {
    "boolean", "defined", "divisibleby", "eq",      "equalto",  "even",   "false", "float",
    "ge",      "gt",      "in",          "integer", "iterable", "le",     "lt",    "mapping",
    "ne",      "none",    "number",      "odd",     "sequence", "string", "true",  "undefined"};
inline constexpr std::array<std::string_view, 4> kFunctionNames = {"namespace", "raise_exception",
                                                                   "range", "strftime_now"};
inline constexpr std::array<std::string_view, 14> kMethodNames = {
    "capitalize", "endswith", "get",   "items",      "keys",  "lower", "lstrip",
    "replace",    "rstrip",   "split", "startswith", "strip", "upper", "values"};
inline constexpr std::array<std::string_view, 9> kLoopNames = {
    "first", "index", "index0", "last", "length", "nextitem", "previtem", "revindex", "revindex0"};

// What Python's str and dict have themselves: `content.split` without a call is one of these and
// no element of a mapping.
inline constexpr std::array<std::string_view, 47> kPythonTextNames = {
    "capitalize",   "casefold",    "center",    "count",      "encode",       "endswith",
    "expandtabs",   "find",        "format",    "format_map", "index",        "isalnum",
    "isalpha",      "isascii",     "isdecimal", "isdigit",    "isidentifier", "islower",
    "isnumeric",    "isprintable", "isspace",   "istitle",    "isupper",      "join",
    "ljust",        "lower",       "lstrip",    "maketrans",  "partition",    "removeprefix",
    "removesuffix", "replace",     "rfind",     "rindex",     "rjust",        "rpartition",
    "rsplit",       "rstrip",      "split",     "splitlines", "startswith",   "strip",
    "swapcase",     "title",       "translate", "upper",      "zfill"};
inline constexpr std::array<std::string_view, 11> kPythonMapNames = {
    "clear", "copy",    "fromkeys",   "get",    "items", "keys",
    "pop",   "popitem", "setdefault", "update", "values"};

template <typename Names>
bool Has(const Names& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace floe::tokenizer::jinja
