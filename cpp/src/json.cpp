#include "json.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <utility>

namespace onepass {
namespace {

constexpr int kDeepest = 200;
constexpr std::size_t kLongestNumber = 4300;  // as in Python
constexpr std::string_view kEscapes = "\"\\/bfnrt", kEscaped = "\"\\/\b\f\n\r\t";

class Reader {
  public:
    explicit Reader(std::string_view text) : text_(text) {
        if (text_.substr(0, 3) == "\xEF\xBB\xBF") text_.remove_prefix(3);
    }

    Json whole() {
        Json value = any(0);
        space();
        if (at_ != text_.size()) fail("unexpected text after the end");
        return value;
    }

  private:
    [[noreturn]] void fail(const std::string& what) const { throw JsonError(what + " at byte " + std::to_string(at_)); }
    void space() { at_ = std::min(text_.find_first_not_of(" \n\r\t", at_), text_.size()); }
    char peek() {
        space();
        if (at_ >= text_.size()) fail("unexpected end");
        return text_[at_];
    }
    void need(char wanted) {
        if (peek() != wanted) fail(std::string("expected ") + wanted);
        ++at_;
    }
    bool word(std::string_view wanted) {
        if (text_.substr(at_, wanted.size()) != wanted) return false;
        at_ += wanted.size();
        return true;
    }

    Json any(int depth) {
        if (depth > kDeepest) fail("lists or objects are nested too deeply");
        Json value;
        const char first = peek();
        if (first == '{') return object(depth);
        if (first == '[') return list(depth);
        if (first == '"') {
            value.kind = Json::Kind::text;
            value.text = string();
        } else if (word("true") || word("false")) {
            value.kind = Json::Kind::boolean;
            value.text = first == 't' ? "true" : "false";
        } else if (!word("null")) {
            value.kind = Json::Kind::number;
            value.text = number();
        }
        return value;
    }
    Json object(int depth) {
        Json value;
        value.kind = Json::Kind::object;
        need('{');
        if (peek() != '}') do {
                if (peek() != '"') fail("expected a key");
                std::string key = string();
                need(':');
                value.object[std::move(key)] = any(depth + 1);
            } while (peek() == ',' && ++at_);
        need('}');
        return value;
    }
    Json list(int depth) {
        Json value;
        value.kind = Json::Kind::list;
        need('[');
        if (peek() != ']') do
                value.list.push_back(any(depth + 1));
            while (peek() == ',' && ++at_);
        need(']');
        return value;
    }
    std::size_t digits() {
        const std::size_t from = at_;
        at_ = std::min(text_.find_first_not_of("0123456789", at_), text_.size());
        return at_ - from;
    }
    std::string number() {
        const std::size_t from = at_;
        word("-");
        const bool zero = word("0");
        const std::size_t count = zero ? 1 : digits();
        if (count == 0) fail("expected a value");
        if (count > kLongestNumber) fail("the number is too long");
        if (word(".") && digits() == 0) fail("expected a digit");
        if (word("e") || word("E")) {
            if (!word("+")) word("-");
            if (digits() == 0) fail("expected a digit");
        }
        return std::string(text_.substr(from, at_ - from));
    }
    std::uint32_t hex() {
        std::uint32_t code = 0;
        const std::string_view four = text_.substr(at_, 4);
        const auto [end, error] = std::from_chars(four.data(), four.data() + four.size(), code, 16);
        if (four.size() != 4 || error != std::errc() || end != four.data() + 4)
            fail("expected four hexadecimal digits");
        at_ += 4;
        return code;
    }
    std::string string() {
        std::string out;
        for (++at_;;) {
            if (at_ >= text_.size()) fail("unexpected end");
            const char c = text_[at_];
            if (c == '"') return ++at_, out;
            if (static_cast<unsigned char>(c) < 0x20) fail("a control character in a string");
            if (c != '\\') {
                out += letter();
                continue;
            }
            ++at_;
            const std::size_t plain = at_ < text_.size() ? kEscapes.find(text_[at_]) : std::string_view::npos;
            if (plain != std::string_view::npos) {
                out += kEscaped[plain];
                ++at_;
            } else if (word("u")) {
                put(out, escaped());
            } else {
                fail("unknown escape");
            }
        }
    }
    std::uint32_t escaped() {  // half of a pair alone stays what it is, as in Python
        const std::uint32_t code = hex();
        if (code < 0xD800 || code >= 0xDC00 || text_.substr(at_, 2) != "\\u") return code;
        const std::size_t before = at_;
        at_ += 2;
        const std::uint32_t low = hex();
        if (low >= 0xDC00 && low < 0xE000) return 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
        at_ = before;
        return code;
    }
    std::string_view letter() {  // one letter of sound UTF-8
        const auto byte = [&](std::size_t k) {
            return at_ + k < text_.size() ? static_cast<unsigned char>(text_[at_ + k]) : 0U;
        };
        const unsigned first = byte(0);
        const std::size_t size = first < 0x80   ? 1
                                 : first < 0xC2 ? 0
                                 : first < 0xE0 ? 2
                                 : first < 0xF0 ? 3
                                 : first < 0xF5 ? 4
                                                : 0;
        bool sound = size > 0;
        for (std::size_t k = 1; k < size; ++k) sound = sound && (byte(k) & 0xC0U) == 0x80U;
        if (first == 0xE0) sound = sound && byte(1) >= 0xA0;
        if (first == 0xED) sound = sound && byte(1) < 0xA0;
        if (first == 0xF0) sound = sound && byte(1) >= 0x90;
        if (first == 0xF4) sound = sound && byte(1) < 0x90;
        if (!sound) fail("a string is not valid UTF-8");
        at_ += size;
        return text_.substr(at_ - size, size);
    }
    static void put(std::string& out, std::uint32_t code) {
        const auto byte = [&](std::uint32_t value) { out += static_cast<char>(value); };
        if (code < 0x80)
            byte(code);
        else if (code < 0x800)
            byte(0xC0 | (code >> 6)), byte(0x80 | (code & 63));
        else if (code < 0x10000)
            byte(0xE0 | (code >> 12)), byte(0x80 | ((code >> 6) & 63)), byte(0x80 | (code & 63));
        else
            byte(0xF0 | (code >> 18)), byte(0x80 | ((code >> 12) & 63)), byte(0x80 | ((code >> 6) & 63)),
                byte(0x80 | (code & 63));
    }

    std::string_view text_;
    std::size_t at_ = 0;
};

void write_text(std::string& out, std::string_view text) {
    const auto unit = [&](std::uint32_t code) {
        char four[8];
        std::snprintf(four, sizeof four, "\\u%04x", static_cast<unsigned>(code & 0xFFFFU));
        out += four;
    };
    out += '"';
    for (std::size_t i = 0; i < text.size();) {
        const auto first = static_cast<unsigned char>(text[i]);
        const std::size_t size = first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
        std::uint32_t code = size == 1 ? first : first & (0x7FU >> size);
        for (std::size_t k = 1; k < size; ++k) code = (code << 6) | (static_cast<unsigned char>(text[i + k]) & 63U);
        i += size;
        const std::size_t escape =
            code < 0x80 && code != '/' ? kEscaped.find(static_cast<char>(code)) : std::string_view::npos;
        if (escape != std::string_view::npos)
            (out += '\\') += kEscapes[escape];
        else if (code >= 0x20 && code < 0x7F)
            out += static_cast<char>(code);
        else if (code < 0x10000)
            unit(code);
        else
            unit(0xD800 + ((code - 0x10000) >> 10)), unit(0xDC00 + ((code - 0x10000) & 0x3FF));
    }
    out += '"';
}

// As Python's repr: the shortest digits that read back the same, with an exponent where that is below -4 or above 15.
std::string python_number(const Json& value) {
    if (value.is_whole()) return value.text == "-0" ? "0" : value.text;
    char text[64];
    const auto end = std::to_chars(text, text + sizeof text, value.number(), std::chars_format::scientific).ptr;
    std::string found(text, end);
    const bool minus = found[0] == '-';
    if (minus) found.erase(0, 1);
    const std::size_t e = found.find('e');
    if (e == std::string::npos) return (minus ? "-" : "") + std::string(found == "inf" ? "Infinity" : found);
    const int exponent = std::stoi(found.substr(e + 1));
    std::string digits = found.substr(0, 1) + (e > 2 ? found.substr(2, e - 2) : "");
    std::string shown;
    if (exponent < -4 || exponent >= 16) {
        const std::string power = std::to_string(exponent < 0 ? -exponent : exponent);
        shown = digits.substr(0, 1) + (digits.size() > 1 ? "." + digits.substr(1) : "") + "e" +
                (exponent < 0 ? "-" : "+") + (power.size() < 2 ? "0" : "") + power;
    } else if (exponent < 0) {
        shown = "0." + std::string(static_cast<std::size_t>(-exponent - 1), '0') + digits;
    } else {
        const auto before = static_cast<std::size_t>(exponent) + 1;
        if (digits.size() < before + 1) digits.append(before + 1 - digits.size(), '0');
        shown = digits.substr(0, before) + "." + digits.substr(before);
    }
    return (minus ? "-" : "") + shown;
}

void write(std::string& out, const Json& value) {
    bool first = true;
    switch (value.kind) {
        case Json::Kind::null:
            out += "null";
            break;
        case Json::Kind::boolean:
            out += value.text;
            break;
        case Json::Kind::number:
            out += python_number(value);
            break;
        case Json::Kind::text:
            write_text(out, value.text);
            break;
        case Json::Kind::list:
            out += '[';
            for (const Json& each : value.list) {
                if (!std::exchange(first, false)) out += ',';
                write(out, each);
            }
            out += ']';
            break;
        case Json::Kind::object:
            out += '{';
            for (const auto& [key, each] : value.object) {
                if (!std::exchange(first, false)) out += ',';
                write_text(out, key);
                out += ':';
                write(out, each);
            }
            out += '}';
            break;
    }
}

}  // namespace

const Json* Json::find(const std::string& key) const {
    const auto found = object.find(key);
    return found == object.end() ? nullptr : &found->second;
}
const Json& Json::operator[](const std::string& key) const { return object.at(key); }
bool Json::is_whole() const { return kind == Kind::number && text.find_first_of(".eE") == std::string::npos; }
std::int64_t Json::whole() const { return std::stoll(text); }
double Json::number() const {
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    static_cast<void>(end);
    // Too large or too small for a double; Python takes the nearest that there is.
    if (error == std::errc::result_out_of_range)
        return text.find("e-") == std::string::npos && text.find("E-") == std::string::npos
                   ? (text[0] == '-' ? -1 : 1) * 1e308 * 10
                   : 0;
    return value;
}

Json parsed_json(std::string_view text) { return Reader(text).whole(); }

std::string compact_json(const Json& value) {
    std::string out;
    write(out, value);
    return out;
}

}  // namespace onepass
