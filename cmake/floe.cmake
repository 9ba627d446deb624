# The three kinds of target in this tree: a library a folder, a program, a test of a folder.
#
#   floe_library(<name> SOURCES ... HEADERS ... [PCH base|grpc|none] DEPS ... [PRIVATE_DEPS ...])
#   floe_program(<name> SOURCES ... DEPS ...)
#   floe_test(<name> SOURCES ... DEPS ... [ONE_PROCESS] [LABELS ...])
#
# Includes are written from the repository root; generated headers from build/<preset>/generated.

include(GNUInstallDirs)

# A folder of the house; one that is not built yet has no CMakeLists.txt.
function(floe_add_folder folder)
  if(EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${folder}/CMakeLists.txt)
    add_subdirectory(${folder})
  endif()
endfunction()

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  # Sloppiness: precompiled headers are cached too. Base dir: two checkouts share their objects.
  set(CMAKE_CXX_COMPILER_LAUNCHER
      ${CMAKE_COMMAND} -E env
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
      CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1 ${CCACHE_PROGRAM})
  set(CMAKE_C_COMPILER_LAUNCHER ${CMAKE_CXX_COMPILER_LAUNCHER})
endif()

add_library(floe_flags INTERFACE)
target_compile_options(floe_flags INTERFACE
  -Wall -Wextra -Werror -Wno-unused-parameter -Wno-missing-field-initializers
  $<$<CXX_COMPILER_ID:GNU>:-fpch-preprocess -Wno-psabi -Wno-maybe-uninitialized>)
target_include_directories(floe_flags INTERFACE ${CMAKE_SOURCE_DIR})
target_include_directories(floe_flags SYSTEM INTERFACE ${CMAKE_BINARY_DIR}/generated)
if(FLOE_SANITIZE)
  target_compile_options(floe_flags INTERFACE
    -fsanitize=${FLOE_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=undefined)
  target_link_options(floe_flags INTERFACE -fsanitize=${FLOE_SANITIZE})
endif()
find_package(Threads REQUIRED)
target_link_libraries(floe_flags INTERFACE Threads::Threads)

# Precompiled headers: compiled once a kind, reused by every target of that kind.
function(floe_use_pch target kind)
  if(kind STREQUAL "none" OR FLOE_SANITIZE)
    return()
  endif()
  target_precompile_headers(${target} REUSE_FROM floe_pch_${kind})
endfunction()

function(floe_library name)
  cmake_parse_arguments(ARG "" "PCH" "SOURCES;HEADERS;DEPS;PRIVATE_DEPS" ${ARGN})
  if(NOT ARG_PCH)
    set(ARG_PCH base)
  endif()
  set(target floe_${name})
  if(ARG_SOURCES)
    add_library(${target} STATIC ${ARG_SOURCES})
    target_sources(${target} PUBLIC FILE_SET HEADERS
      BASE_DIRS ${CMAKE_SOURCE_DIR} FILES ${ARG_HEADERS})
    target_link_libraries(${target} PUBLIC floe_flags ${ARG_DEPS} PRIVATE ${ARG_PRIVATE_DEPS})
    floe_use_pch(${target} ${ARG_PCH})
  else()
    add_library(${target} INTERFACE)
    target_sources(${target} INTERFACE FILE_SET HEADERS
      BASE_DIRS ${CMAKE_SOURCE_DIR} FILES ${ARG_HEADERS})
    target_link_libraries(${target} INTERFACE floe_flags ${ARG_DEPS})
  endif()
  string(REPLACE "_" "::" alias ${name})
  add_library(floe::${name} ALIAS ${target})
endfunction()

function(floe_program name)
  cmake_parse_arguments(ARG "" "PCH" "SOURCES;DEPS" ${ARGN})
  if(NOT ARG_PCH)
    set(ARG_PCH none)
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE floe_flags ${ARG_DEPS})
  floe_use_pch(${name} ${ARG_PCH})
endfunction()

# ONE_PROCESS: the whole executable is one ctest entry (its cases share a Postgres, a fleet or LibTorch's
# long start); otherwise every case is an entry of its own.
function(floe_test name)
  if(NOT FLOE_TESTS)
    return()
  endif()
  cmake_parse_arguments(ARG "ONE_PROCESS" "PCH;TIMEOUT" "SOURCES;DEPS;LABELS" ${ARGN})
  if(NOT ARG_PCH)
    set(ARG_PCH test)
  endif()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE floe_flags ${ARG_DEPS} GTest::gmock GTest::gtest_main)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  floe_use_pch(${name} ${ARG_PCH})
  if(ARG_ONE_PROCESS)
    add_test(NAME ${name} COMMAND ${name})
    set_tests_properties(${name} PROPERTIES TIMEOUT ${ARG_TIMEOUT} LABELS "${ARG_LABELS}")
  else()
    gtest_discover_tests(${name} TEST_PREFIX ${name}. DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 60
      PROPERTIES TIMEOUT ${ARG_TIMEOUT} LABELS "${ARG_LABELS}")
  endif()
endfunction()

# floe_fuzz(<name> SOURCES <file with LLVMFuzzerTestOneInput> DEPS ... [CORPUS <folder>]): in the `fuzz`
# preset a fuzzer; elsewhere a test that replays the small corpus kept in the tree, corpus/<name>.
function(floe_fuzz name)
  cmake_parse_arguments(ARG "" "CORPUS" "SOURCES;DEPS" ${ARGN})
  if(NOT ARG_CORPUS)
    set(ARG_CORPUS corpus/${name})
  endif()
  set(corpus ${CMAKE_CURRENT_SOURCE_DIR}/${ARG_CORPUS})
  if(FLOE_FUZZ)
    add_executable(${name} ${ARG_SOURCES})
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
    set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/fuzz)
    file(WRITE ${CMAKE_BINARY_DIR}/fuzz/${name}.corpus "${corpus}")
  elseif(FLOE_TESTS)
    add_executable(${name} ${ARG_SOURCES} ${CMAKE_SOURCE_DIR}/tests/support/replay_corpus.cc)
    set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
    add_test(NAME ${name}.corpus COMMAND ${name} ${corpus})
  else()
    return()
  endif()
  target_link_libraries(${name} PRIVATE floe_flags ${ARG_DEPS})
endfunction()
