"""A program of somebody else's that takes onepass from Conan."""

import os

from conan import ConanFile
from conan.tools.build import can_run
from conan.tools.cmake import CMake, CMakeToolchain, cmake_layout


class ConsumerConan(ConanFile):
    """Builds the program beside this file against the package, and runs it."""

    settings = "os", "arch", "compiler", "build_type"

    def requirements(self):
        """Take the package under test."""
        self.requires(self.tested_reference_str)

    def layout(self):
        """Build outside of the sources."""
        cmake_layout(self)

    def generate(self):
        """Write nothing beside this file."""
        toolchain = CMakeToolchain(self)
        toolchain.user_presets_path = False
        toolchain.generate()

    def build(self):
        """Build the program."""
        cmake = CMake(self)
        cmake.configure()
        cmake.build()

    def test(self):
        """Run it."""
        if can_run(self):
            self.run(os.path.join(self.cpp.build.bindir, "consumer"), env="conanrun")  # noqa: PTH118 - keeps its "./"
