// A strict JSON parser, and a writer for the digest in a sidecar.
#pragma once

#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace onepass {

struct JsonError : std::runtime_error {  // the message says where; the caller adds the file
    using std::runtime_error::runtime_error;
};

struct Json {
    enum class Kind { null, boolean, number, text, list, object };
    Kind kind = Kind::null;
    std::string text;  // a string in UTF-8; a number as it was written; or "true" or "false"
    std::vector<Json> list;
    std::map<std::string, Json> object;

    const Json* find(const std::string& key) const;
    const Json& operator[](const std::string& key) const;  // throws std::out_of_range if missing
    bool is_true() const { return kind == Kind::boolean && text == "true"; }
    bool is_whole() const;       // whether it is a number without fraction and exponent
    std::int64_t whole() const;  // its value; throws std::out_of_range beyond 64 bits
    double number() const;
};

Json parsed_json(std::string_view text);  // throws JsonError
// Writes ASCII without spaces, with sorted keys, and with numbers as Python writes them.
std::string compact_json(const Json& value);

}  // namespace onepass
