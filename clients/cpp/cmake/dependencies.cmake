# For the build, and for projects that use the installed client.
include(CMakeFindDependencyMacro)
find_dependency(Threads)
# Protobuf's own configuration knows what it was built with; CMake's module, for older packages, does not.
find_package(Protobuf CONFIG QUIET)
if(NOT Protobuf_FOUND)
  find_dependency(Protobuf)
endif()
find_dependency(gRPC CONFIG)
# For till::webhooks only.
find_package(OpenSSL QUIET)
