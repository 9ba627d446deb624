# floe_embed_text(<target> HEADER <header> NAMESPACE <namespace> TEXTS <Function>=<file> ...): compiles
# files of the calling folder into <target>, each as `std::string_view <Function>()` of the namespace,
# which the header (written by hand) declares.
function(floe_embed_text target)
  cmake_parse_arguments(ARG "" "HEADER;NAMESPACE" "TEXTS" ${ARGN})
  file(RELATIVE_PATH folder ${CMAKE_SOURCE_DIR} ${CMAKE_CURRENT_SOURCE_DIR})
  set(out ${CMAKE_BINARY_DIR}/generated/${folder}/${target}_texts.cc)
  set(texts "")
  set(files "")
  foreach(entry IN LISTS ARG_TEXTS)
    string(REPLACE "=" ";" parts ${entry})
    list(GET parts 0 name)
    list(GET parts 1 file)
    list(APPEND texts "${name}=${CMAKE_CURRENT_SOURCE_DIR}/${file}")
    list(APPEND files "${CMAKE_CURRENT_SOURCE_DIR}/${file}")
  endforeach()
  add_custom_command(OUTPUT ${out}
    COMMAND ${CMAKE_COMMAND} -D "OUT=${out}" -D "HEADER=${ARG_HEADER}" -D "NAMESPACE=${ARG_NAMESPACE}"
            -D "TEXTS=${texts}" -P ${CMAKE_SOURCE_DIR}/cmake/embed_text_run.cmake
    DEPENDS ${files} ${CMAKE_SOURCE_DIR}/cmake/embed_text_run.cmake VERBATIM)
  target_sources(${target} PRIVATE ${out})
endfunction()
