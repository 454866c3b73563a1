"""Conan's recipe for the C++ library: `conan create cpp/packaging/conan`, in a checkout."""

import re
from pathlib import Path

from conan import ConanFile
from conan.tools.build import check_min_cppstd
from conan.tools.cmake import CMake, CMakeToolchain, cmake_layout
from conan.tools.files import copy, load


class OnepassConan(ConanFile):
    """The library, built from the checkout that this file lies in."""

    name = "onepass"
    description = "Every output of a network, by name, from one pass"
    license = "Apache-2.0"
    package_type = "library"
    settings = "os", "arch", "compiler", "build_type"
    options = {"shared": [True, False], "fPIC": [True, False], "tensorrt": [True, False]}
    default_options = {"shared": False, "fPIC": True, "tensorrt": False}
    implements = ["auto_shared_fpic"]
    test_package_folder = "../../tests/package"

    def set_version(self):
        """Take the version from where Python has it."""
        text = load(self, Path(self.recipe_folder) / "../../../src/onepass/_version.py")
        self.version = re.search(r'__version__ = "(.+)"', text)[1]

    def export_sources(self):
        """Take the library, and what it shares with Python."""
        root = Path(self.recipe_folder) / "../../.."
        for pattern in ("LICENSE", "cpp/*", "src/onepass/_version.py", "src/onepass/engine/sidecar.schema.json"):
            copy(self, pattern, src=str(root), dst=self.export_sources_folder)

    def validate(self):
        """Refuse what is no C++17."""
        check_min_cppstd(self, 17)

    def layout(self):
        """Build outside of the sources."""
        cmake_layout(self)

    def generate(self):
        """Hand the options on; TensorRT_ROOT and CUDA come from `tools.cmake.cmaketoolchain:extra_variables`."""
        toolchain = CMakeToolchain(self)
        toolchain.cache_variables["ONEPASS_TENSORRT"] = bool(self.options.tensorrt)
        toolchain.cache_variables["ONEPASS_EXAMPLES"] = False
        toolchain.generate()

    def build(self):
        """Build it."""
        cmake = CMake(self)
        cmake.configure(build_script_folder="cpp")
        cmake.build()

    def package(self):
        """Install it, with its licence."""
        copy(self, "LICENSE", src=self.source_folder, dst=str(Path(self.package_folder, "licenses")))
        CMake(self).install()

    def package_info(self):
        """Leave it to the package's own CMake files to say how it is linked."""
        self.cpp_info.set_property("cmake_find_mode", "none")
        self.cpp_info.builddirs = [str(Path("lib", "cmake", "onepass"))]
        self.cpp_info.libs = ["onepass"]
        if self.settings.os == "Linux":
            self.cpp_info.system_libs = ["dl", "pthread"]
