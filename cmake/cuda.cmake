# The CUDA language for the backend in src/kernels/cuda: machine code for the GPUs that clusters have, and PTX for the
# ones to come. The runtime is linked statically, so that the program also starts where there is no CUDA at all.
if(NOT CMAKE_CUDA_COMPILER AND NOT DEFINED ENV{CUDACXX})
  find_program(CONVOY_NVCC nvcc HINTS ENV CUDA_HOME ENV CUDA_PATH PATHS /usr/local/cuda PATH_SUFFIXES bin
    DOC "CUDA's compiler")
  if(NOT CONVOY_NVCC)
    message(FATAL_ERROR "CONVOY_WITH_CUDA=ON: there is no nvcc on the PATH, in CUDA_HOME or in /usr/local/cuda/bin. "
      "Install CUDA's toolkit, load its module, or give -DCMAKE_CUDA_COMPILER=/path/to/nvcc; without CUDA: preset release")
  endif()
  set(CMAKE_CUDA_COMPILER ${CONVOY_NVCC} CACHE FILEPATH "CUDA's compiler")
endif()
if(NOT CMAKE_CUDA_HOST_COMPILER AND NOT DEFINED ENV{CUDAHOSTCXX})
  set(CMAKE_CUDA_HOST_COMPILER ${CMAKE_CXX_COMPILER} CACHE FILEPATH "What nvcc gives the host's code to")
endif()
set(CMAKE_CUDA_ARCHITECTURES "80-real;90-real;90-virtual" CACHE STRING "Machine code (-real) and PTX (-virtual)")
if(CCACHE AND NOT CMAKE_CUDA_COMPILER_LAUNCHER)
  set(CMAKE_CUDA_COMPILER_LAUNCHER ${CCACHE})
endif()
enable_language(CUDA)
find_package(CUDAToolkit 12 REQUIRED)  # C++20
if(NOT DEFINED CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # CMake 3.25.1 does not know that nvcc has it
  set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
  set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
endif()
set(CMAKE_CUDA_STANDARD 20)
set(CMAKE_CUDA_STANDARD_REQUIRED ON)
set(CMAKE_CUDA_EXTENSIONS OFF)

# In words, for --version: 13.0, sm_80 sm_90 PTX
set(CONVOY_CUDA "${CUDAToolkit_VERSION_MAJOR}.${CUDAToolkit_VERSION_MINOR},")
set(ptx FALSE)
foreach(architecture IN LISTS CMAKE_CUDA_ARCHITECTURES)
  if(NOT architecture MATCHES "-virtual$")
    string(REGEX REPLACE "-real$" "" number ${architecture})
    string(APPEND CONVOY_CUDA " sm_${number}")
  endif()
  if(NOT architecture MATCHES "-real$")
    set(ptx TRUE)
  endif()
endforeach()
if(ptx)
  string(APPEND CONVOY_CUDA " PTX")
endif()
message(STATUS "CUDA ${CONVOY_CUDA}")
