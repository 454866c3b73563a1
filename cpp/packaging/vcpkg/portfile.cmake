# vcpkg's port of the C++ library, an overlay in a checkout: vcpkg install onepass --overlay-ports=cpp/packaging
get_filename_component(SOURCE_PATH "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)
vcpkg_check_features(OUT_FEATURE_OPTIONS features FEATURES tensorrt ONEPASS_TENSORRT)
vcpkg_cmake_configure(
  SOURCE_PATH "${SOURCE_PATH}/cpp"
  OPTIONS ${features} -DONEPASS_EXAMPLES=OFF "-DTensorRT_ROOT=$ENV{TensorRT_ROOT}")
vcpkg_cmake_install()
vcpkg_cmake_config_fixup(CONFIG_PATH lib/cmake/onepass)
vcpkg_fixup_pkgconfig()
file(REMOVE_RECURSE "${CURRENT_PACKAGES_DIR}/debug/include")
vcpkg_install_copyright(FILE_LIST "${SOURCE_PATH}/LICENSE")
