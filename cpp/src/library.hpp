// A shared library, opened by name at run time.
#pragma once

#include <string>
#include <vector>

namespace onepass {

class Library {
  public:
    // Opens the first of these libraries that can be opened. Otherwise throws BackendError with the reason for each.
    // The library is never closed, because a runtime's threads and global state outlive any session.
    Library(const std::string& what, const std::vector<std::string>& names);

    // Returns the address of a function, or null if the library does not have it.
    void* find(const char* function) const noexcept;
    // Returns the function with its type. Throws BackendError if the library does not have it.
    template <class Function>
    Function* get(const char* function) const {
        return reinterpret_cast<Function*>(need(function));
    }
    const std::string& name() const noexcept { return name_; }

  private:
    void* need(const char* function) const;

    std::string name_;
    void* handle_ = nullptr;
};

}  // namespace onepass
