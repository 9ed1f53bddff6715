# Install rules: the library, its public headers, and the package that find_package(Convoy) reads.
include(CMakePackageConfigHelpers)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/Convoy)

install(TARGETS convoy EXPORT ConvoyTargets
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY include/convoy DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.hpp")
install(EXPORT ConvoyTargets NAMESPACE Convoy:: DESTINATION ${package_dir})

configure_package_config_file(cmake/ConvoyConfig.cmake.in ${PROJECT_BINARY_DIR}/ConvoyConfig.cmake
  INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/ConvoyConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/ConvoyConfig.cmake ${PROJECT_BINARY_DIR}/ConvoyConfigVersion.cmake
  DESTINATION ${package_dir})
install(FILES LICENSE README.md CHANGELOG.md CITATION.cff DESTINATION ${CMAKE_INSTALL_DOCDIR})
