# floe_embed_sql(<target> <namespace>): compiles migrations/NNNN_name.sql of the calling folder into
# <target>, as `std::span<const floe::postgres::Migration> <namespace>::Migrations()`, declared in
# "<folder>/migrations_sql.h" (generated).
function(floe_embed_sql target namespace)
  file(GLOB files CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/migrations/*.sql)
  if(NOT files)
    message(FATAL_ERROR "floe_embed_sql(${target}): no ${CMAKE_CURRENT_SOURCE_DIR}/migrations/NNNN_name.sql")
  endif()
  file(RELATIVE_PATH folder ${CMAKE_SOURCE_DIR} ${CMAKE_CURRENT_SOURCE_DIR})
  set(stem ${CMAKE_BINARY_DIR}/generated/${folder}/migrations_sql)
  file(WRITE ${stem}.h.new
    "#pragma once\n#include <span>\n#include \"base/postgres/migrations.h\"\n"
    "namespace ${namespace} {\n"
    "std::span<const floe::postgres::Migration> Migrations();\n}\n")
  file(COPY_FILE ${stem}.h.new ${stem}.h ONLY_IF_DIFFERENT)
  add_custom_command(OUTPUT ${stem}.cc
    COMMAND ${CMAKE_COMMAND} -D "OUT=${stem}.cc" -D "HEADER=${folder}/migrations_sql.h"
            -D "NAMESPACE=${namespace}" -D "FILES=${files}" -P ${CMAKE_SOURCE_DIR}/cmake/embed_sql_run.cmake
    DEPENDS ${files} ${CMAKE_SOURCE_DIR}/cmake/embed_sql_run.cmake VERBATIM)
  target_sources(${target} PRIVATE ${stem}.cc)
  target_link_libraries(${target} PUBLIC floe_base_postgres)
endfunction()
