#include <gtest/gtest.h>
#include <hdf5.h>
#include <malloc.h>

#include <filesystem>
#include <numeric>

#include "files.hpp"
#include "hdf5_files.hpp"
#include "io/reader.hpp"

namespace convoy::io {
namespace {

class Hdf5Input : public testing::Test {
 protected:
    std::string refused(const std::string& key) { return refusal_of(path_ + "#" + key); }
    Folder folder_;
    std::string path_ = folder_ / "a.h5";
    std::vector<double> values_ = counted(12);
};

TEST_F(Hdf5Input, ReadsEveryTypeOfNumber) {
    Hdf5 file = new_file(path_);
    for (const auto& [name, type] : std::vector<std::pair<std::string, hid_t>>{{"f64", H5T_IEEE_F64LE},
                                                                               {"f64b", H5T_IEEE_F64BE},
                                                                               {"f32", H5T_IEEE_F32LE},
                                                                               {"f32b", H5T_IEEE_F32BE},
                                                                               {"i8", H5T_STD_I8LE},
                                                                               {"i16b", H5T_STD_I16BE},
                                                                               {"i32", H5T_STD_I32LE},
                                                                               {"i64b", H5T_STD_I64BE},
                                                                               {"u8", H5T_STD_U8LE},
                                                                               {"u16", H5T_STD_U16LE},
                                                                               {"u32b", H5T_STD_U32BE},
                                                                               {"u64", H5T_STD_U64LE},
                                                                               {"long", H5T_NATIVE_LDOUBLE}})
        add_dataset(file.get(), name, type, {4, 3}, values_);
    file.close();

    for (const char* name :
         {"f64", "f64b", "f32", "f32b", "i8", "i16b", "i32", "i64b", "u8", "u16", "u32b", "u64", "long"})
        EXPECT_EQ(read_all(path_ + "#" + name), values_) << name;
}

TEST_F(Hdf5Input, ReadsChunksAndFilters) {
    Hdf5 file = new_file(path_);
    Hdf5 creation{H5Pcreate(H5P_DATASET_CREATE), H5Pclose};
    const hsize_t chunk[2] = {3, 2};
    H5Pset_chunk(creation.get(), 2, chunk);
    H5Pset_shuffle(creation.get());
    H5Pset_deflate(creation.get(), 6);
    H5Pset_fletcher32(creation.get());
    add_dataset(file.get(), "X", H5T_IEEE_F32LE, {4, 3}, values_, creation.get());
    file.close();

    EXPECT_EQ(read_all(path_ + "#X"), values_);
}

TEST_F(Hdf5Input, ReadsVectorsRowsAndSoftLinks) {
    Hdf5 file = new_file(path_);
    add_group(file.get(), "obsm");
    add_dataset(file.get(), "obsm/X_pca", H5T_IEEE_F64LE, {4, 3}, values_);
    add_dataset(file.get(), "w", H5T_IEEE_F64LE, {12}, values_);
    H5Lcreate_soft("/obsm/X_pca", file.get(), "soft", H5P_DEFAULT, H5P_DEFAULT);
    file.close();
    const auto reader = open_reader({path_, "/obsm/X_pca"});
    std::vector<double> rows(6);

    reader->read(1, 2, rows);

    EXPECT_EQ(rows, (std::vector<double>{3, 4, 5, 6, 7, 8}));
    EXPECT_EQ(read_all(path_ + "#soft"), values_);
    EXPECT_TRUE(open_reader({path_, "w"})->is_vector());
    EXPECT_EQ(open_reader({path_, "w"})->rows(), 12);
}

TEST_F(Hdf5Input, ListsWhatThereIsWhenTheDatasetIsNotThere) {
    Hdf5 file = new_file(path_);
    add_group(file.get(), "obsm");
    add_dataset(file.get(), "obsm/X_pca", H5T_IEEE_F64LE, {4, 3}, values_);
    H5Lcreate_hard(file.get(), "/", file.get(), "obsm/again", H5P_DEFAULT, H5P_DEFAULT);  // a cycle
    file.close();

    expect_words(refusal_of(path_), {"no dataset is named", "obsm/X_pca (4 x 3)", "name one, like: ", "#obsm/X_pca"});
    expect_words(refused("X"), {"no dataset 'X'", "obsm/X_pca (4 x 3)"});
    expect_words(refused("obsm"), {"is a group", "obsm/X_pca"});
    expect_words(refused("obsm/nothing/here"), {"no dataset 'obsm/nothing/here'"});
}

TEST_F(Hdf5Input, SaysWhatItCannotRead) {
    Hdf5 file = new_file(path_);
    add_dataset(file.get(), "cube", H5T_IEEE_F64LE, {2, 2, 3}, values_);
    add_dataset(file.get(), "empty", H5T_IEEE_F64LE, {0, 3}, {});
    Hdf5 text{H5Tcopy(H5T_C_S1), H5Tclose};
    H5Tset_size(text.get(), 8);
    make_dataset(file.get(), "text", text.get(), {3});
    Hdf5 compound{H5Tcreate(H5T_COMPOUND, 16), H5Tclose};
    H5Tinsert(compound.get(), "x", 0, H5T_NATIVE_DOUBLE);
    make_dataset(file.get(), "compound", compound.get(), {3});
    make_dataset(file.get(), "unwritten", H5T_IEEE_F64LE, {3, 3});
    add_group(file.get(), "sparse");
    for (const char* name : {"sparse/data", "sparse/indices", "sparse/indptr"})
        add_dataset(file.get(), name, H5T_IEEE_F64LE, {12}, values_);
    const Hdf5 scalar{H5Screate(H5S_SCALAR), H5Sclose};
    Hdf5{H5Dcreate2(file.get(), "scalar", H5T_IEEE_F64LE, scalar.get(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT),
         H5Dclose};
    file.close();

    expect_words(refused("cube"), {"a.h5#cube': dataset 'cube' has 3 dimensions (need 2: points x features)",
                                   "pick another dataset, see: convoy check"});
    expect_words(refused("empty"), {"is empty", "0 x 3"});
    expect_words(refused("text"), {"no numbers", "string"});
    expect_words(refused("compound"), {"no numbers", "compound"});
    expect_words(refused("unwritten"), {"never written"});
    expect_words(refused("sparse"), {"sparse matrix", "dense"});
    expect_words(refused("scalar"), {"0 dimensions"});
}

TEST_F(Hdf5Input, DoesNotFollowALinkOutOfTheFile) {
    const std::string other = folder_ / "b.h5";
    Hdf5 outside = new_file(other);
    add_dataset(outside.get(), "X", H5T_IEEE_F64LE, {4, 3}, values_);
    outside.close();
    Hdf5 file = new_file(path_);
    H5Lcreate_external("b.h5", "/X", file.get(), "external", H5P_DEFAULT, H5P_DEFAULT);
    H5Lcreate_soft("/external", file.get(), "soft", H5P_DEFAULT, H5P_DEFAULT);
    Hdf5 creation{H5Pcreate(H5P_DATASET_CREATE), H5Pclose};
    H5Pset_external(creation.get(), "raw.bin", 0, 96);
    make_dataset(file.get(), "raw", H5T_IEEE_F64LE, {4, 3}, creation.get());
    Hdf5 view{H5Pcreate(H5P_DATASET_CREATE), H5Pclose};
    const hsize_t extents[2] = {4, 3};
    const Hdf5 space{H5Screate_simple(2, extents, nullptr), H5Sclose};
    H5Pset_virtual(view.get(), space.get(), "b.h5", "X", space.get());
    make_dataset(file.get(), "virtual", H5T_IEEE_F64LE, {4, 3}, view.get());
    file.close();

    expect_words(refused("external"), {"link into another file"});
    expect_words(refused("soft"), {"link into another file"});
    expect_words(refused("raw"), {"external storage", "h5repack"});
    expect_words(refused("virtual"), {"is virtual", "h5repack"});
    expect_words(refused("nothing"), {"no dataset 'nothing'"});
}

// A filter that this process knows while it writes and not while it reads.
std::size_t pass(unsigned, std::size_t, const unsigned*, std::size_t bytes, std::size_t*, void**) {
    return bytes;
}

TEST_F(Hdf5Input, NamesAFilterThatItDoesNotKnow) {
    const H5Z_class2_t zstd{H5Z_CLASS_T_VERS, 32015, 1, 1, "zstd", nullptr, nullptr, pass};
    H5Zregister(&zstd);
    Hdf5 file = new_file(path_);
    Hdf5 creation{H5Pcreate(H5P_DATASET_CREATE), H5Pclose};
    const hsize_t chunk[2] = {4, 3};
    H5Pset_chunk(creation.get(), 2, chunk);
    H5Pset_filter(creation.get(), 32015, 0, 0, nullptr);
    add_dataset(file.get(), "X", H5T_IEEE_F64LE, {4, 3}, values_, creation.get());
    Hdf5 sized{H5Pcreate(H5P_DATASET_CREATE), H5Pclose};
    H5Pset_chunk(sized.get(), 2, chunk);
    H5Pset_scaleoffset(sized.get(), H5Z_SO_FLOAT_DSCALE, 2);
    add_dataset(file.get(), "sized", H5T_IEEE_F64LE, {4, 3}, values_, sized.get());
    sized.close();
    creation.close();
    file.close();
    H5Zunregister(32015);

    expect_words(refused("X"), {"filter zstd", "32015", "gzip", "HDF5_PLUGIN_PATH"});
    expect_words(refused("sized"), {"filter scale-offset", "h5repack -f GZIP"});
}

TEST_F(Hdf5Input, IsRefusedWhereverItIsTruncated) {
    Hdf5 file = new_file(path_);
    add_dataset(file.get(), "X", H5T_IEEE_F64LE, {4, 3}, values_);
    file.close();
    const std::string whole = bytes_of(path_);

    for (std::size_t length = 1; length < whole.size(); length += 37) {
        write_file(path_, whole.substr(0, length));
        expect_words(refused("X"), {"cannot read '", length < 8 ? "no HDF5 file" : "HDF5 file"});
    }
    write_file(path_, "x" + whole);
    expect_words(refused("X"), {"no HDF5 file"});
}

TEST_F(Hdf5Input, SurvivesADamagedListOfLinks) {
    prepare_hdf5();
    const Hdf5 access{H5Pcreate(H5P_FILE_ACCESS), H5Pclose};
    H5Pset_libver_bounds(access.get(), H5F_LIBVER_LATEST, H5F_LIBVER_LATEST);
    Hdf5 file{H5Fcreate(path_.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access.get()), H5Fclose};
    for (int i = 0; i < 20; ++i)  // enough for a heap of links
        add_dataset(file.get(), "dataset" + std::to_string(i), H5T_IEEE_F64LE, {4, 3}, values_);
    file.close();
    const std::string whole = bytes_of(path_);
    mallopt(M_PERTURB, 85);  // so that what HDF5 does not initialise is no null pointer

    for (const char* signature : {"FRHP", "FHDB", "BTHD", "BTLF"}) {
        std::string bytes = whole;
        const auto at = bytes.find(signature);
        ASSERT_NE(at, std::string::npos) << signature;
        bytes[at] = 'X';
        write_file(path_, bytes);

        expect_words(refused("dataset7"), {"the HDF5 file is damaged ('dataset7' cannot be opened)", "copy or write"});
        expect_words(refused("nothing"), {"cannot read '"});
        expect_words(refusal_of(path_), {"no dataset is named"});
    }
    mallopt(M_PERTURB, 0);
}

TEST_F(Hdf5Input, KnowsWhatIsMissingFromWhatIsDamaged) {
    Hdf5 file = new_file(path_);
    add_group(file.get(), "g");
    add_dataset(file.get(), "X", H5T_IEEE_F64LE, {4, 3}, values_);
    H5Lcreate_soft("/nowhere", file.get(), "soft", H5P_DEFAULT, H5P_DEFAULT);
    file.close();

    for (const char* key : {"Y", "/Y", "g/Y", "nothing/here", "X/Y", "soft", "soft/Y"})
        expect_words(refused(key), {std::string{"no dataset '"} + key + "'", "X (4 x 3)"});
}

TEST_F(Hdf5Input, ReportsAChunkWhoseChecksumIsWrong) {
    Hdf5 file = new_file(path_);
    Hdf5 creation{H5Pcreate(H5P_DATASET_CREATE), H5Pclose};
    const hsize_t chunk[2] = {4, 3};
    H5Pset_chunk(creation.get(), 2, chunk);
    H5Pset_fletcher32(creation.get());
    add_dataset(file.get(), "X", H5T_IEEE_F64LE, {4, 3}, values_, creation.get());
    file.close();
    std::string bytes = bytes_of(path_);
    const auto at = bytes.find(raw(values_));
    ASSERT_NE(at, std::string::npos);
    bytes[at + 9] = static_cast<char>(bytes[at + 9] ^ 1);
    write_file(path_, bytes);

    expect_words(refused("X"), {"rows 0 to 3 of dataset 'X' cannot be read", "damaged"});
}

}  // namespace
}  // namespace convoy::io
