# The build step of floe_embed_sql: FILES (a list of SQL files) to the C++ file OUT.
list(SORT FILES)
set(entries "")
foreach(file IN LISTS FILES)
  get_filename_component(name ${file} NAME_WE)
  if(NOT name MATCHES "^([0-9][0-9][0-9][0-9])_[a-z0-9_]+$")
    message(FATAL_ERROR "${file}: a migration is named NNNN_name.sql, in [a-z0-9_]")
  endif()
  set(number ${CMAKE_MATCH_1})
  string(REGEX REPLACE "^0+" "" number ${number})
  file(READ ${file} sql)
  string(APPEND entries "    {${number}, \"${name}\", R\"floe_sql(${sql})floe_sql\"},\n")
endforeach()
file(WRITE ${OUT}
"#include \"${HEADER}\"

namespace ${NAMESPACE} {
namespace {
constexpr floe::postgres::Migration kMigrations[] = {
${entries}};
}  // namespace
std::span<const floe::postgres::Migration> Migrations() { return kMigrations; }
}  // namespace ${NAMESPACE}
")
