// A shared library, opened by name while the program runs.
#pragma once

#include <string>
#include <vector>

namespace onepass {

class Library {
  public:
    // Opens the first of these that is there. Throws BackendError, which says what each of them failed with.
    // It is never closed: what a runtime has started outlives any one session.
    Library(const std::string& what, const std::vector<std::string>& names);

    // The address of a function, null where the library has none of that name.
    void* find(const char* function) const noexcept;
    // Likewise as a function of some type; throws BackendError where there is none.
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
