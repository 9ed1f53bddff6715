#include "io/model.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <functional>

#include "convoy/error.hpp"
#include "files.hpp"
#include "grids.hpp"
#include "hdf5_files.hpp"
#include "io/hdf5_attributes.hpp"
#include "results.hpp"

namespace convoy::io {
namespace {

class ModelFile : public testing::Test {
 protected:
    // A result whose points lie in the file, or in y.npy beside it.
    void write(bool embedded) {
        const Grid grid{world_, {1, world_.size()}};
        if (world_.is_root()) {
            write_file(folder_ / "y.npy", npy("<f8", "(10, 3)", raw(problem_.y)));
            write_file(folder_ / "other.npy", npy("<f8", "(10, 3)", raw(noise(30, 9))));
        }
        world_.barrier();
        Written written{problem_, grid};
        written.result.store_source = written.result.store_target = embedded;
        InputIdentity& target = written.result.target_input;
        target.path = "y.npy";
        target.absolute_path = folder_ / "y.npy";
        target.rows = problem_.m;
        target.columns = problem_.d;
        target.checksum = crc32c(problem_.y);
        written.result.source_input.rows = problem_.n;
        written.result.source_input.columns = problem_.d;
        written.write(path_, true);
    }
    void expect_target_on_every_grid(const std::string& moved = {}) {
        const Model model = open_model(world_, path_);
        for (const GridShape shape : shapes_of(world_.size())) {
            const Grid grid{world_, shape};
            const Partition columns = Partition::even(problem_.m, shape.columns);
            const DistributedCloud cloud = read_model_cloud(grid, columns, model, Side::column, moved);

            EXPECT_EQ(cloud.local.points, part_of(grid, Side::column, columns, problem_.d, problem_.y));
            EXPECT_EQ(cloud.local.weights, part_of(grid, Side::column, columns, 1, problem_.b));
            const std::vector<MapStep> steps = read_steps(grid, columns, model, Side::row);
            ASSERT_EQ(steps.size(), 1u);
            EXPECT_EQ(steps[0].g, part_of(grid, Side::column, columns, 1, problem_.g));
            EXPECT_EQ(steps[0].epsilon, 0.125);
        }
    }
    std::string refused(const std::string& moved = {}) {
        return agreed_error<InputError>(world_, [&] {
            const Model model = open_model(world_, path_);
            const Grid grid{world_, {1, world_.size()}};
            read_model_cloud(grid, Partition::even(problem_.m, world_.size()), model, Side::column, moved);
        });
    }
    void on_root(const std::function<void()>& action) {
        if (world_.is_root()) action();
        world_.barrier();
    }

    Communicator world_ = Communicator::world();
    Folder folder_{world_};
    Problem problem_;
    std::string path_ = folder_ / "run.h5";
};

TEST_F(ModelFile, HoldsItsPointsOrFindsThem) {
    write(true);
    expect_target_on_every_grid();
    const Model model = open_model(world_, path_);
    EXPECT_EQ(model.dimension(), 3);
    EXPECT_EQ(model.points(Side::row), 23);
    EXPECT_FALSE(model.progressive());
    EXPECT_EQ(model.cost, Cost{});

    write(false);
    expect_target_on_every_grid();
    on_root([&] { std::filesystem::rename(folder_ / "y.npy", folder_ / "z.npy"); });
    expect_target_on_every_grid(folder_ / "z.npy");
}

TEST_F(ModelFile, FindsInputsThatMovedWithIt) {
    write(false);
    on_root([&] {
        std::filesystem::create_directory(folder_ / "elsewhere");
        std::filesystem::rename(path_, folder_ / "elsewhere/run.h5");
        std::filesystem::rename(folder_ / "y.npy", folder_ / "elsewhere/y.npy");
    });
    path_ = folder_ / "elsewhere/run.h5";

    expect_target_on_every_grid();
}

TEST_F(ModelFile, SaysWhatIsWrongWithItsInputs) {
    write(false);
    expect_words(refused(folder_ / "other.npy"), {"other.npy", "target", "run.h5", "checksum", "--target"});
    on_root([&] { write_file(folder_ / "y.npy", npy("<f8", "(9, 3)", raw(noise(27, 9)))); });
    expect_words(refused(), {"y.npy", "9 x 3", "10 x 3", "--target"});
    on_root([&] { std::filesystem::remove(folder_ / "y.npy"); });
    expect_words(refused(), {"y.npy", "run.h5", "--target PATH[#KEY]"});
}

TEST_F(ModelFile, MayHaveSteps) {
    write(true);
    const std::vector<double> g = noise(problem_.m * 2, 4);
    const auto add_steps = [&](const std::vector<double>& alphas) {
        on_root([&] {
            std::string error;
            const Hdf5 file = open_hdf5_file(path_, H5F_ACC_RDWR, error);
            if (H5Lexists(file.get(), "steps", H5P_DEFAULT) > 0) H5Ldelete(file.get(), "steps", H5P_DEFAULT);
            add_group(file.get(), "steps");
            add_dataset(file.get(), "steps/epsilon", H5T_IEEE_F64LE, {2}, {0.5, 0.25});
            add_dataset(file.get(), "steps/alpha", H5T_IEEE_F64LE, {alphas.size()}, alphas);
            add_dataset(file.get(), "steps/g", H5T_IEEE_F64LE, {10, 2}, g);
            const Hdf5 dataset{H5Dopen2(file.get(), "steps/g", H5P_DEFAULT), H5Dclose};
            create_mark(dataset.get(), "checksum", H5T_STD_U32LE);
            set_mark(dataset.get(), "checksum", crc32c(g));
        });
    };
    add_steps({0.5, 1});
    const Model model = open_model(world_, path_);
    EXPECT_TRUE(model.progressive());
    for (const GridShape shape : shapes_of(world_.size())) {
        const Grid grid{world_, shape};
        const Partition columns = Partition::even(problem_.m, shape.columns);
        const std::vector<MapStep> steps = read_steps(grid, columns, model, Side::row);
        ASSERT_EQ(steps.size(), 2u);
        EXPECT_EQ(steps[0].alpha, 0.5);
        EXPECT_EQ(steps[1].epsilon, 0.25);
        for (std::size_t k = 0; k < 2; ++k) {
            std::vector<double> column;
            for (std::int64_t j = 0; j < problem_.m; ++j) column.push_back(g[2 * j + k]);
            EXPECT_EQ(steps[k].g, part_of(grid, Side::column, columns, 1, column));
        }
    }

    add_steps({0.5, 0.7, 1});
    expect_words(refused(), {"run.h5", "contradict"});
    add_steps({0.5, 2});
    expect_words(refused(), {"run.h5", "step 2", "alpha 2"});
}

}  // namespace
}  // namespace convoy::io
