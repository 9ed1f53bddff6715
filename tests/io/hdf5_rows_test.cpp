// Chunks decoded by ourselves: what is read must be what HDF5 reads, and what is damaged must be an error.

#include "io/hdf5_rows.hpp"

#include <gtest/gtest.h>
#include <zlib.h>

#include <cstring>
#include <random>

#include "files.hpp"
#include "hdf5_files.hpp"
#include "io/hdf5_dataset.hpp"
#include "io/numeric_rows.hpp"
#include "lzf_encoder.hpp"

namespace convoy::io {
namespace {

GlobalRun run(std::int64_t first, std::int64_t count) {
    return {GlobalIndex{first}, count};
}

std::vector<std::byte> gzip(std::span<const std::byte> bytes) {
    std::vector<std::byte> packed(compressBound(bytes.size()));
    uLongf length = packed.size();
    compress(reinterpret_cast<Bytef*>(packed.data()), &length, reinterpret_cast<const Bytef*>(bytes.data()),
             bytes.size());
    packed.resize(length);
    return packed;
}

class Rows : public testing::Test {
 protected:
    // A dataset of chunks; `prepare` adds filters.
    template <class Prepare>
    Hdf5 creation(const std::vector<hsize_t>& chunk, Prepare&& prepare) {
        Hdf5 list{H5Pcreate(H5P_DATASET_CREATE), H5Pclose};
        H5Pset_chunk(list.get(), static_cast<int>(chunk.size()), chunk.data());
        prepare(list.get());
        return list;
    }
    NumericRows open(const std::string& path, const std::string& member = {}) {
        file_ = open_hdf5_input({path_, path});
        return {{path_, path}, path, open_hdf5_dataset({path_, path}, file_.get(), path), member};
    }
    std::vector<double> rows_of(const std::string& path, const std::vector<GlobalRun>& runs) {
        NumericRows rows = open(path);
        std::int64_t count = 0;
        for (const GlobalRun& one : runs) count += one.count;
        std::vector<double> out(static_cast<std::size_t>(count * rows.columns()));
        rows.read(runs, std::span<double>{out});
        return out;
    }
    std::string refused(const std::string& path) {
        return refusal([&] {
            const std::int64_t rows = open(path).rows();
            rows_of(path, {run(0, rows)});
        });
    }

    Folder folder_;
    std::string path_ = folder_ / "a.h5";
    Hdf5 file_;
};

TEST_F(Rows, AreTheSameInEveryLayout) {
    constexpr std::int64_t n = 23, d = 7;
    std::vector<double> values(n * d);
    for (std::size_t k = 0; k < values.size(); ++k) values[k] = static_cast<double>(k * k % 251) - 100;
    Hdf5 file = new_file(path_);
    std::vector<std::string> names;
    const auto add = [&](const std::string& name, hid_t type, hid_t list) {
        names.push_back(name);
        add_dataset(file.get(), name, type, {n, d}, values, list);
    };
    const auto nothing = [](hid_t) {};
    const auto all = [](hid_t list) {
        H5Pset_shuffle(list);
        H5Pset_deflate(list, 4);
        H5Pset_fletcher32(list);
    };
    const auto checksum_first = [](hid_t list) {
        H5Pset_fletcher32(list);
        H5Pset_shuffle(list);
        H5Pset_deflate(list, 4);
    };
    add("contiguous", H5T_IEEE_F64LE, H5P_DEFAULT);
    Hdf5 compact{H5Pcreate(H5P_DATASET_CREATE), H5Pclose};
    H5Pset_layout(compact.get(), H5D_COMPACT);
    add("compact", H5T_IEEE_F32LE, compact.get());
    for (const auto& [rows, columns] : std::vector<std::pair<hsize_t, hsize_t>>{{1, 1}, {4, 3}, {23, 7}, {5, 7}}) {
        const std::string shape = std::to_string(rows) + "x" + std::to_string(columns);
        add("plain" + shape, H5T_IEEE_F64BE, creation({rows, columns}, nothing).get());
        add("all" + shape, H5T_IEEE_F32LE, creation({rows, columns}, all).get());
        add("first" + shape, H5T_STD_I16LE, creation({rows, columns}, checksum_first).get());
    }
    add("edges", H5T_IEEE_F64LE, creation({4, 3}, [&](hid_t list) {
                                     all(list);
                                     H5Pset_chunk_opts(list, H5D_CHUNK_DONT_FILTER_PARTIAL_CHUNKS);
                                 }).get());
    file.close();
    const auto pick = [&](const std::vector<GlobalRun>& runs) {
        std::vector<double> out;
        for (const GlobalRun& one : runs)
            out.insert(out.end(), values.begin() + one.first.value * d,
                       values.begin() + (one.first.value + one.count) * d);
        return out;
    };

    for (const std::string& name : names) {
        SCOPED_TRACE(name);
        for (const auto& runs : std::vector<std::vector<GlobalRun>>{{run(0, n)},
                                                                    {run(3, 5)},
                                                                    {run(22, 1)},
                                                                    {run(0, 1), run(2, 1), run(3, 9), run(22, 1)},
                                                                    {run(4, 0)},
                                                                    {}})
            EXPECT_EQ(rows_of(name, runs), pick(runs));
    }
}

TEST_F(Rows, OfNewerChunkIndicesAndOnesThatWereNeverWritten) {
    prepare_hdf5();
    const Hdf5 access{H5Pcreate(H5P_FILE_ACCESS), H5Pclose};
    H5Pset_libver_bounds(access.get(), H5F_LIBVER_LATEST, H5F_LIBVER_LATEST);
    Hdf5 file{H5Fcreate(path_.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access.get()), H5Fclose};
    const double fill = -7;
    const Hdf5 list = creation({2, 3}, [&](hid_t created) {
        H5Pset_deflate(created, 4);
        H5Pset_fill_value(created, H5T_NATIVE_DOUBLE, &fill);
    });
    const hsize_t extents[2] = {5, 3}, unlimited[2] = {H5S_UNLIMITED, 3}, start[2] = {2, 0}, count[2] = {1, 3};
    for (const hsize_t* most : {static_cast<const hsize_t*>(nullptr), static_cast<const hsize_t*>(unlimited)}) {
        const char* name = most == nullptr ? "fixed" : "resizable";
        const Hdf5 space{H5Screate_simple(2, extents, most), H5Sclose},
            row{H5Screate_simple(2, count, nullptr), H5Sclose};
        const Hdf5 dataset{
            H5Dcreate2(file.get(), name, H5T_IEEE_F32LE, space.get(), H5P_DEFAULT, list.get(), H5P_DEFAULT), H5Dclose};
        H5Sselect_hyperslab(space.get(), H5S_SELECT_SET, start, nullptr, count, nullptr);
        const double three[3] = {1, 2, 3};
        H5Dwrite(dataset.get(), H5T_NATIVE_DOUBLE, row.get(), space.get(), H5P_DEFAULT, three);
    }
    file.close();

    for (const char* name : {"fixed", "resizable"})
        EXPECT_EQ(rows_of(name, {run(1, 4)}), (std::vector<double>{-7, -7, -7, 1, 2, 3, -7, -7, -7, -7, -7, -7}))
            << name;
}

TEST_F(Rows, OfLzf) {
    std::vector<float> values(4 * 3);
    for (std::size_t k = 0; k < values.size(); ++k) values[k] = static_cast<float>(k / 5);
    Hdf5 file = new_file(path_);
    const Hdf5 list = creation({4, 3}, [](hid_t created) {
        const unsigned parameters[3] = {4, 0x0105, 48};
        H5Pset_filter(created, 32000, H5Z_FLAG_OPTIONAL, 3, parameters);
    });
    const hsize_t offset[2] = {0, 0};
    for (const bool packed : {true, false}) {  // what does not become smaller is stored as it is
        const Hdf5 dataset = make_dataset(file.get(), packed ? "packed" : "plain", H5T_IEEE_F32LE, {4, 3}, list.get());
        const auto stream = packed ? encode_lzf(std::as_bytes(std::span{values}))
                                   : std::vector<std::byte>(std::as_bytes(std::span{values}).begin(),
                                                            std::as_bytes(std::span{values}).end());
        H5Dwrite_chunk(dataset.get(), H5P_DEFAULT, packed ? 0 : 1, offset, stream.size(), stream.data());
    }
    file.close();

    for (const char* name : {"packed", "plain"})
        EXPECT_EQ(rows_of(name, {run(0, 4)}), std::vector<double>(values.begin(), values.end())) << name;
}

TEST_F(Rows, RefuseChunksThatAreNotWhole) {
    std::vector<float> values(40 * 3);
    for (std::size_t k = 0; k < values.size(); ++k) values[k] = static_cast<float>(k / 5);
    const auto whole = std::as_bytes(std::span{values});
    Hdf5 file = new_file(path_);
    const hsize_t offset[2] = {0, 0};
    const auto deflate = [](hid_t list) { H5Pset_deflate(list, 4); };
    const auto lzf = [](hid_t list) { H5Pset_filter(list, 32000, H5Z_FLAG_OPTIONAL, 0, nullptr); };
    const auto shuffle = [](hid_t list) { H5Pset_shuffle(list); };
    int number = 0;
    std::vector<std::string> names;
    const auto add = [&](auto&& prepare, const std::vector<std::byte>& stored) {
        names.push_back("bad" + std::to_string(number++));
        const Hdf5 list = creation({40, 3}, prepare);
        const Hdf5 dataset = make_dataset(file.get(), names.back(), H5T_IEEE_F32LE, {40, 3}, list.get());
        H5Dwrite_chunk(dataset.get(), H5P_DEFAULT, 0, offset, stored.size(), stored.data());
    };
    const auto cut = [](std::vector<std::byte> bytes, std::size_t length) {
        bytes.resize(length);
        return bytes;
    };
    const std::vector<std::byte> longer(whole.size() + 4), raw_bytes(whole.begin(), whole.end());
    for (const auto& bytes : {gzip(whole.first(15)), gzip(longer), cut(gzip(whole), 5), cut(gzip(whole), 40), longer})
        add(deflate, bytes);
    for (const auto& bytes : {encode_lzf(whole.first(15)), encode_lzf(longer), cut(encode_lzf(whole), 5), raw_bytes})
        add(lzf, bytes);
    for (const std::size_t length : {1, 479, 481}) add(shuffle, cut(raw_bytes, length));
    file.close();

    for (const std::string& name : names)
        expect_words(refused(name), {"rows 0 to 39 of dataset '" + name + "' cannot be read (a chunk is damaged: it"});
}

TEST_F(Rows, RefuseAChunkLargerThanItsFile) {
    Hdf5 file = new_file(path_);
    add_dataset(file.get(), "X", H5T_IEEE_F32LE, {40, 3}, counted(120),
                creation({40, 3}, [](hid_t list) { H5Pset_deflate(list, 4); }).get());
    file.close();
    std::string bytes = bytes_of(path_);
    // The chunk index' leaf: its key begins with the stored length.
    const auto at = bytes.find("TREE\x01", 0);
    ASSERT_NE(at, std::string::npos);
    const std::uint32_t huge = 0xfffffff0;
    std::memcpy(bytes.data() + at + 24, &huge, 4);
    write_file(path_, bytes);

    expect_words(refused("X"), {"cannot be read"});
}

TEST_F(Rows, OfMembersOfCompounds) {
    struct Row {
        std::int32_t age;
        float pca[3];
        double growth;
    };
    std::vector<Row> rows(11);
    for (int k = 0; k < 11; ++k) rows[static_cast<std::size_t>(k)] = {k, {1.f * k, 2.f * k, 3.f * k}, k / 4.0};
    const hsize_t three = 3;
    const Hdf5 array{H5Tarray_create2(H5T_IEEE_F32LE, 1, &three), H5Tclose};
    const Hdf5 text{H5Tcopy(H5T_C_S1), H5Tclose};
    H5Tset_size(text.get(), H5T_VARIABLE);
    for (const bool with_text : {false, true}) {
        for (const bool chunked : {false, true}) {
            SCOPED_TRACE(std::to_string(with_text) + std::to_string(chunked));
            file_.close();
            Hdf5 file = new_file(path_);
            const Hdf5 type{H5Tcreate(H5T_COMPOUND, sizeof(Row)), H5Tclose};
            H5Tinsert(type.get(), "age", HOFFSET(Row, age), H5T_NATIVE_INT32);
            H5Tinsert(type.get(), "pca", HOFFSET(Row, pca), array.get());
            H5Tinsert(type.get(), "growth", HOFFSET(Row, growth), H5T_NATIVE_DOUBLE);
            Hdf5 stored{H5Tcreate(H5T_COMPOUND, 8 + 4 + 12 + 8), H5Tclose};
            H5Tinsert(stored.get(), "age", 8, H5T_STD_I32BE);
            H5Tinsert(stored.get(), "pca", 12, array.get());
            H5Tinsert(stored.get(), "growth", 24, H5T_IEEE_F64LE);
            if (with_text) H5Tinsert(stored.get(), "name", 0, text.get());  // longer in the file than in memory
            const Hdf5 list = creation({4}, [](hid_t created) {
                H5Pset_shuffle(created);
                H5Pset_deflate(created, 4);
            });
            Hdf5 dataset = make_dataset(file.get(), "obs", stored.get(), {11}, chunked ? list.get() : H5P_DEFAULT);
            H5Dwrite(dataset.get(), type.get(), H5S_ALL, H5S_ALL, H5P_DEFAULT, rows.data());
            dataset.close();
            file.close();

            const std::vector<GlobalRun> runs{run(1, 2), run(9, 2)};
            std::vector<double> growth(4), pca(12);
            std::vector<std::int64_t> age(4);
            open("obs", "growth").read(runs, std::span<double>{growth});
            open("obs", "pca").read(runs, std::span<double>{pca});
            open("obs", "age").read(runs, std::span<std::int64_t>{age});

            EXPECT_EQ(growth, (std::vector<double>{0.25, 0.5, 2.25, 2.5}));
            EXPECT_EQ(pca, (std::vector<double>{1, 2, 3, 2, 4, 6, 9, 18, 27, 10, 20, 30}));
            EXPECT_EQ(age, (std::vector<std::int64_t>{1, 2, 9, 10}));
            EXPECT_EQ(open("obs", "pca").columns(), 3);
            expect_words(refusal([&] { open("obs", "weight"); }), {"has no column 'weight'"});
        }
    }
}

}  // namespace
}  // namespace convoy::io
