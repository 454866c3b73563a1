#include "library.hpp"

#include "names.hpp"
#include "onepass/onepass.hpp"

#ifdef _WIN32
#include <windows.h>
#else
#include <dlfcn.h>
#endif

namespace onepass {
namespace {

#ifdef _WIN32
void* opened(const std::string& name) { return static_cast<void*>(LoadLibraryA(name.c_str())); }
std::string complaint() { return "Windows error " + std::to_string(GetLastError()); }
void* address(void* handle, const char* function) {
    return reinterpret_cast<void*>(GetProcAddress(static_cast<HMODULE>(handle), function));
}
#else
// Its names are the program's, too: libraries of plugins take them from there.
void* opened(const std::string& name) { return dlopen(name.c_str(), RTLD_NOW | RTLD_GLOBAL); }
std::string complaint() {
    const char* text = dlerror();
    return text ? text : "unknown";
}
void* address(void* handle, const char* function) { return dlsym(handle, function); }
#endif

}  // namespace

Library::Library(const std::string& what, const std::vector<std::string>& names) {
    std::string failures;
    for (const std::string& each : names) {
        handle_ = opened(each);
        if (handle_) {
            name_ = each;
            return;
        }
        failures += "\n  " + each + ": " + complaint();
    }
    throw BackendError(what + " not found; set the path of its library in Options::runtime. Tried:" + failures);
}

void* Library::find(const char* function) const noexcept { return address(handle_, function); }

void* Library::need(const char* function) const {
    if (void* found = find(function)) return found;
    throw BackendError(name_ + " has no function " + in_quotes(function) + "; it is not the expected library");
}

}  // namespace onepass
