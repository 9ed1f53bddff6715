#include "app/query_tables.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <functional>

#include "app/side_files.hpp"
#include "convoy/error.hpp"
#include "io/npy_write.hpp"

namespace convoy::app {

namespace {

using Integers = std::vector<std::int64_t>;
using Reals = std::vector<double>;

const io::FileArray* find(const Asked& asked, const std::string& path) {
    for (const io::FileArray& array : asked.answers.arrays)
        if (array.path == path) return &array;
    return nullptr;
}

template <class Values>
const Values& values_of(const Asked& asked, const std::string& path) {
    const io::FileArray* const array = find(asked, path);
    CONVOY_ASSERT(array != nullptr);
    return std::get<Values>(array->values);
}

// As spreadsheets and pandas read it.
std::string cell(const std::string& text) {
    if (text.find_first_of(",\"\n\r") == std::string::npos) return text;
    std::string quoted = "\"";
    for (const char c : text) quoted += c == '"' ? std::string{"\"\""} : std::string{c};
    return quoted + '"';
}

// What points are called in a table: by name, else by number.
class Called {
 public:
    Called(const Communicator& world, std::optional<io::PointNames>& names) {
        agree(world, [&] {
            if (names) names_ = names->read(0, names->points());
        });
    }
    std::string operator()(std::int64_t point) const {
        return names_.empty() ? fmt::format("{}", point) : cell(names_[static_cast<std::size_t>(point)]);
    }

 private:
    std::vector<std::string> names_;
};

std::string transition_table(const TransitionTable& table) {
    std::string text = "source";
    for (const std::string& level : table.target_levels) text += "," + cell(level);
    const std::size_t columns = table.target_levels.size();
    for (std::size_t r = 0; r < table.source_levels.size(); ++r) {
        text += "\n" + cell(table.source_levels[r]);
        for (std::size_t c = 0; c < columns; ++c) text += fmt::format(",{}", table.joint[r * columns + c]);
    }
    return text + "\n";
}

// Lines of this rank's rows.
std::string lines(const Asked& asked, const Called& source, const Called& target, std::string& heading) {
    std::string text;
    if (const io::FileArray* const index = find(asked, "match/source/index")) {
        heading = "source,target,probability\n";
        const auto& partners = std::get<Integers>(index->values);
        const auto& probabilities = values_of<Reals>(asked, "match/source/probability");
        for (std::size_t i = 0; i < partners.size(); ++i)
            text += fmt::format("{},{},{}\n", source(index->first + static_cast<std::int64_t>(i)), target(partners[i]),
                                probabilities[i]);
    } else if (find(asked, "pairs/source") != nullptr) {
        heading = "source,target\n";
        const auto &from = values_of<Integers>(asked, "pairs/source"), &to = values_of<Integers>(asked, "pairs/target");
        for (std::size_t k = 0; k < from.size(); ++k) text += fmt::format("{},{}\n", source(from[k]), target(to[k]));
    } else {
        heading = "source,target,mass\n";
        const io::FileArray* const indptr = find(asked, "top/indptr");
        CONVOY_ASSERT(indptr != nullptr);
        const auto& ends = std::get<Integers>(indptr->values);
        const auto& indices = values_of<Integers>(asked, "top/indices");
        const auto& masses = values_of<Reals>(asked, "top/data");
        // The first part also has where all begin.
        const std::size_t skipped = indptr->first == 0 && !ends.empty() ? 1 : 0;
        const std::int64_t row = indptr->first == 0 ? 0 : indptr->first - 1;
        const std::int64_t before = find(asked, "top/indices")->first;
        std::size_t k = 0;
        for (std::size_t i = skipped; i < ends.size(); ++i) {
            for (; static_cast<std::int64_t>(k) + before < ends[i]; ++k)
                text += fmt::format("{},{},{}\n", source(row + static_cast<std::int64_t>(i - skipped)),
                                    target(indices[k]), masses[k]);
        }
    }
    return text;
}

}  // namespace

void write_as_npy(const Communicator& world, const Asked& asked, const std::string& path, bool overwrite) {
    if (const io::FileArray* const from = find(asked, "pairs/source")) {
        io::FileArray both{"pairs", from->rows, 2, from->first, Integers{}};
        const auto &i = std::get<Integers>(from->values), &j = values_of<Integers>(asked, "pairs/target");
        std::get<Integers>(both.values).reserve(2 * i.size());
        for (std::size_t k = 0; k < i.size(); ++k) {
            std::get<Integers>(both.values).push_back(i[k]);
            std::get<Integers>(both.values).push_back(j[k]);
        }
        return io::write_npy(world, both, path, overwrite);
    }
    for (const char* name : {"match/source/index", "row_samples", "barycentric", "push", "pull", "entropy/source"}) {
        if (const io::FileArray* const array = find(asked, name)) return io::write_npy(world, *array, path, overwrite);
    }
    CONVOY_ASSERT(false);
}

void write_as_csv(const Communicator& world, const Asked& asked, SideNames& names, const std::string& path,
                  bool overwrite) {
    if (asked.transition) return write_text(world, path, transition_table(*asked.transition), overwrite);
    std::string heading;
    std::string text = lines(asked, Called{world, names.source}, Called{world, names.target}, heading);
    // Ranks are in the order of their parts.
    std::string all = heading;
    for (const std::string& some : world.gather_all(text)) all += some;
    write_text(world, path, all, overwrite);
}

}  // namespace convoy::app
