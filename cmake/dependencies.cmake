# What the tree takes from Debian 12. The packages stand in scripts/packages.txt.
find_package(absl REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(OpenSSL REQUIRED)

find_package(hwy REQUIRED)
find_package(yaml-cpp REQUIRED)
if(NOT FLOE_FUZZ)
  find_package(Protobuf REQUIRED)
  find_package(PkgConfig REQUIRED)
  find_package(gRPC CONFIG REQUIRED)
  find_package(spdlog REQUIRED)
  find_package(prometheus-cpp REQUIRED)
  find_package(CLI11 REQUIRED)
  pkg_check_modules(pqxx REQUIRED IMPORTED_TARGET libpqxx)
  pkg_check_modules(hiredis REQUIRED IMPORTED_TARGET hiredis)
  find_package(Boost 1.81 REQUIRED)
  # For programs that answer many small requests: glibc's allocator took a sixth of their time. The
  # sanitizers bring their own.
  add_library(floe_allocator INTERFACE)
  if(NOT FLOE_SANITIZE)
    pkg_check_modules(tcmalloc REQUIRED IMPORTED_TARGET libtcmalloc_minimal)
    target_link_libraries(floe_allocator INTERFACE PkgConfig::tcmalloc)
  endif()
  # Debian's 1.13, or any newer one that CMAKE_PREFIX_PATH names. Its headers are not ours to warn about.
  find_package(Torch REQUIRED)
  add_library(floe_torch INTERFACE)
  target_include_directories(floe_torch SYSTEM INTERFACE ${TORCH_INCLUDE_DIRS})
  target_link_libraries(floe_torch INTERFACE ${TORCH_LIBRARIES})
  # at::parallel_for is a template: compiled without OpenMP it runs on one thread, whatever LibTorch does.
  # ThreadSanitizer does not see where OpenMP's threads wait for one another.
  if(NOT FLOE_SANITIZE MATCHES thread)
    find_package(OpenMP REQUIRED COMPONENTS CXX)
    target_link_libraries(floe_torch INTERFACE OpenMP::OpenMP_CXX)
  endif()
  # A worker that computes on the processor alone has its own kernels and needs no LibTorch.
  if(TARGET torch_cuda)
    set(FLOE_TORCH_HAS_CUDA ON)
  else()
    set(FLOE_TORCH_HAS_CUDA OFF)
  endif()
  option(FLOE_ATEN_ENGINE "floe-inference links LibTorch and can compute on CUDA devices"
         ${FLOE_TORCH_HAS_CUDA})
  find_package(GTest REQUIRED)
  include(GoogleTest)
  if(FLOE_BENCH)
    find_package(benchmark REQUIRED)
  endif()
endif()

# Precompiled headers of the three kinds; see floe_use_pch.
if(NOT FLOE_SANITIZE)
  file(WRITE ${CMAKE_BINARY_DIR}/pch/empty.cc "")
  set(FLOE_PCH_BASE <absl/status/statusor.h> <absl/strings/str_cat.h> <absl/strings/str_format.h>
      <algorithm> <cstdint> <functional> <map> <memory> <mutex> <optional> <string> <string_view>
      <unordered_map> <utility> <vector>)
  add_library(floe_pch_base OBJECT ${CMAKE_BINARY_DIR}/pch/empty.cc)
  target_link_libraries(floe_pch_base PRIVATE floe_flags)
  target_precompile_headers(floe_pch_base PRIVATE ${FLOE_PCH_BASE})
  add_library(floe_pch_grpc OBJECT ${CMAKE_BINARY_DIR}/pch/empty.cc)
  target_link_libraries(floe_pch_grpc PRIVATE floe_flags gRPC::grpc++)
  target_precompile_headers(floe_pch_grpc PRIVATE ${FLOE_PCH_BASE} <grpcpp/grpcpp.h>)
  if(FLOE_TESTS)
    add_library(floe_pch_test OBJECT ${CMAKE_BINARY_DIR}/pch/empty.cc)
    target_link_libraries(floe_pch_test PRIVATE floe_flags GTest::gmock)
    target_precompile_headers(floe_pch_test PRIVATE ${FLOE_PCH_BASE} <gmock/gmock.h> <gtest/gtest.h>)
  endif()
endif()
