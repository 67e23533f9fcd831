# Which ISAs this target has and the compiler flags of each. A new ISA is a name in CODEWORD_ISAS, its flags here, and its
# feature test in native/dispatch.cpp.

string(TOLOWER "${CMAKE_SYSTEM_PROCESSOR}" processor)
if(APPLE AND CMAKE_OSX_ARCHITECTURES)
  string(TOLOWER "${CMAKE_OSX_ARCHITECTURES}" processor)
  if(processor MATCHES ";")
    message(FATAL_ERROR "build one architecture at a time: CMAKE_OSX_ARCHITECTURES=${CMAKE_OSX_ARCHITECTURES}")
  endif()
endif()

if(processor MATCHES "^(x86_64|amd64|x64)$")
  set(CODEWORD_ISAS sse42 avx2 avx512 avx512vnni)
  set(CODEWORD_BASE_ISA sse42)
  # Matrix registers need a system call that allows them (native/dispatch.cpp) and g++ 11 or Clang 12.
  include(CheckCXXCompilerFlag)
  if(CMAKE_SYSTEM_NAME STREQUAL "Linux")
    check_cxx_compiler_flag("-mamx-tile -mamx-int8" CODEWORD_HAS_AMX)
    if(CODEWORD_HAS_AMX)
      list(APPEND CODEWORD_ISAS avx512amx)
      add_compile_definitions(CODEWORD_HAS_AMX)
    endif()
  endif()
elseif(processor MATCHES "^(aarch64|arm64)$")
  set(CODEWORD_ISAS neon)
  set(CODEWORD_BASE_ISA neon)
else()
  message(FATAL_ERROR "codeword supports x86-64 and aarch64, not '${CMAKE_SYSTEM_PROCESSOR}'")
endif()

# cl and clang-cl share MSVC's command line; clang-cl passes Clang's own options with /clang:.
if(MSVC AND CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  set(CODEWORD_CLANG_CL TRUE)
endif()

# avx512vnni is what Ice Lake and Zen 4 both have on top of x86-64-v4.
set(isa_options_sse42 -march=x86-64-v2)
set(isa_options_avx2 -march=x86-64-v3)
set(isa_options_avx512 -march=x86-64-v4)
set(isa_options_avx512vnni -march=x86-64-v4 -mavx512vnni -mavx512vbmi -mavx512vbmi2 -mavx512bitalg
                           -mavx512vpopcntdq -mavx512ifma -mgfni)
set(isa_options_avx512amx ${isa_options_avx512vnni} -mamx-tile -mamx-int8)
set(isa_options_neon -march=armv8-a+crc)
set(isa_msvc_sse42 "")
set(isa_msvc_avx2 /arch:AVX2)
set(isa_msvc_avx512 /arch:AVX512)
set(isa_msvc_avx512vnni /arch:AVX512)
set(isa_msvc_neon "")

# Sets `out` to the flags that select `isa`.
function(codeword_isa_flags out isa)
  if(CODEWORD_CLANG_CL)
    list(TRANSFORM isa_options_${isa} PREPEND "/clang:" OUTPUT_VARIABLE flags)
  elseif(MSVC)
    set(flags ${isa_msvc_${isa}})
  elseif(APPLE AND isa STREQUAL "neon")
    set(flags "") # every Apple arm64 core has more than this; -march would lower Clang's default
  else()
    set(flags ${isa_options_${isa}})
  endif()
  set(${out} ${flags} PARENT_SCOPE)
endfunction()

# CODEWORD_FLAGS: all native code. Results must not depend on the ISA, so a multiply and an add never contract.
# CODEWORD_KERNEL_FLAGS: kernels only, which neither throw nor use run-time types.
if(CODEWORD_CLANG_CL)
  set(CODEWORD_FLAGS /clang:-ffp-contract=off /EHsc)
  set(CODEWORD_KERNEL_FLAGS /clang:-O3 /GR-)
  set(CODEWORD_WARNINGS /W3)
elseif(MSVC)
  set(CODEWORD_FLAGS /fp:precise /EHsc /utf-8)
  set(CODEWORD_KERNEL_FLAGS /O2 /GR-)
  set(CODEWORD_WARNINGS /W3)
else()
  set(CODEWORD_FLAGS -ffp-contract=off)
  set(CODEWORD_KERNEL_FLAGS -fno-exceptions -fno-rtti -fno-asynchronous-unwind-tables)
  if(CODEWORD_SANITIZE)
    list(PREPEND CODEWORD_FLAGS -O1) # -O3 compiles three times as long
  elseif(NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
    list(PREPEND CODEWORD_FLAGS -O3)
  endif()
  set(CODEWORD_WARNINGS -Wall -Wextra -Wno-unknown-pragmas)
endif()
