#include "symbols.hpp"

#include <cxxabi.h>
#include <elf.h>
#include <link.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>

namespace emulation {

namespace {

struct Symbol {
    std::string name;
    std::uintptr_t address = 0;
    std::size_t bytes = 0;
    bool is_function = false;
    int unit = 0;  // of translation; 0: global
};

std::uintptr_t where_the_program_was_loaded() {
    std::uintptr_t base = 0;
    dl_iterate_phdr(
        [](dl_phdr_info* program, std::size_t, void* result) {
            *static_cast<std::uintptr_t*>(result) = program->dlpi_addr;
            return 1;  // the first is the program
        },
        &base);
    return base;
}

template <class T>
T object_at(const std::vector<char>& file, std::size_t offset) {
    T object{};
    if (offset + sizeof(T) <= file.size()) std::memcpy(&object, file.data() + offset, sizeof(T));
    return object;
}

std::vector<Symbol> symbols_of_program() {
    std::ifstream stream{"/proc/self/exe", std::ios::binary};
    const std::vector<char> file{std::istreambuf_iterator<char>{stream}, {}};
    const auto header = object_at<ElfW(Ehdr)>(file, 0);
    const std::uintptr_t base = where_the_program_was_loaded();
    std::vector<Symbol> symbols;
    for (int s = 0; s < header.e_shnum; ++s) {
        const auto section = [&](std::size_t number) {
            return object_at<ElfW(Shdr)>(file, header.e_shoff + number * header.e_shentsize);
        };
        const auto table = section(static_cast<std::size_t>(s));
        if (table.sh_type != SHT_SYMTAB) continue;
        const auto strings = section(table.sh_link);
        int unit = 0;
        for (std::size_t i = 0; i < table.sh_size / sizeof(ElfW(Sym)); ++i) {
            const auto entry = object_at<ElfW(Sym)>(file, table.sh_offset + i * sizeof(ElfW(Sym)));
            const int type = ELF64_ST_TYPE(entry.st_info);
            if (type == STT_FILE) ++unit;
            if ((type != STT_FUNC && type != STT_OBJECT) || entry.st_shndx == SHN_UNDEF) continue;
            // Constants are not shared memory.
            if (type == STT_OBJECT && (section(entry.st_shndx).sh_flags & SHF_WRITE) == 0) continue;
            Symbol symbol;
            symbol.name = file.data() + strings.sh_offset + entry.st_name;
            symbol.address = base + entry.st_value;
            symbol.bytes = entry.st_size;
            symbol.is_function = type == STT_FUNC;
            symbol.unit = ELF64_ST_BIND(entry.st_info) == STB_LOCAL ? unit : 0;
            symbols.push_back(std::move(symbol));
        }
    }
    return symbols;
}

std::string demangled(const std::string& name) {
    int status = 0;
    char* words = abi::__cxa_demangle(name.c_str(), nullptr, nullptr, &status);
    const std::string result = words != nullptr ? words : name;
    std::free(words);
    return result;
}

Kernel find(const void* address) {
    static const std::vector<Symbol> symbols = symbols_of_program();
    Kernel kernel;
    const auto place = reinterpret_cast<std::uintptr_t>(address);
    const Symbol* function = nullptr;
    for (const Symbol& symbol : symbols) {
        if (symbol.is_function && symbol.address == place) function = &symbol;
    }
    if (function == nullptr) {
        char digits[32];
        std::snprintf(digits, sizeof digits, "%p", address);
        kernel.name = digits;
        return kernel;
    }
    kernel.name = demangled(function->name);
    // A variable `v` of a function _Zf is named _ZZfE1v. Several units may have local functions of one name.
    if (!function->name.starts_with("_Z")) return kernel;
    const std::string prefix = "_ZZ" + function->name.substr(2) + "E";
    for (const Symbol& symbol : symbols) {
        if (symbol.is_function || !symbol.name.starts_with(prefix)) continue;
        if (function->unit != 0 && symbol.unit != function->unit) continue;
        kernel.shared.push_back({reinterpret_cast<unsigned char*>(symbol.address), symbol.bytes});
        kernel.shared_bytes += symbol.bytes;
    }
    return kernel;
}

}  // namespace

const Kernel& kernel_at(const void* address) {
    static auto& known = *new std::map<const void*, Kernel>;
    const auto found = known.find(address);
    return found != known.end() ? found->second : known.emplace(address, find(address)).first->second;
}

}  // namespace emulation
