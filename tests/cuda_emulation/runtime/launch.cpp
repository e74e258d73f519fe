#include "launch.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <numeric>
#include <thread>
#include <utility>

#include "memory.h"
#include "merge.h"
#include "report.h"
#include "schedule.h"
#include "worker.h"

namespace lelkern::emulation {
namespace {

constexpr int kSharedBytes = 227 << 10;  // of a block, at most
constexpr int kMargin = 4096;

std::vector<std::unique_ptr<Worker>> workers;
int64_t launches = 0;

std::vector<uint64_t> block_order(uint64_t count, const Settings& settings) {
    std::vector<uint64_t> order(count);
    std::iota(order.begin(), order.end(), uint64_t{0});
    if (settings.order == Order::reverse) std::reverse(order.begin(), order.end());
    if (settings.order >= Order::random) {
        Random random;
        random.seed(settings.seed, ~uint64_t{0});
        for (uint64_t i = count; i > 1; --i) std::swap(order[i - 1], order[random.next() % i]);
    }
    return order;
}

void work(Worker& worker, Launch& launch) {
    worker.launch = &launch;
    worker.stopped = false;
    find_thread_locals(worker.shared.fixed, worker.shared.fixed_bytes);
    worker.shared.dynamic = reinterpret_cast<uintptr_t>(worker.dynamic_buffer + kMargin);
    worker.shared.dynamic_bytes = static_cast<uintptr_t>(launch.configuration.shared_bytes);
    worker.shadow.begin_launch();
    if (launch.configuration.checked) {
        // The same blocks in every run, so that what is found is the same.
        const auto step = static_cast<std::size_t>(launch.workers);
        auto i = static_cast<std::size_t>(worker.number);
        for (; i < launch.order.size() && !launch.stopped; i += step) {
            run_block(worker, launch.order[i]);
        }
        return;
    }
    for (;;) {
        const std::size_t i = launch.next++;
        if (i >= launch.order.size() || launch.stopped) break;
        run_block(worker, launch.order[i]);
    }
}

bool possible(const Configuration& configuration) {
    const dim3 grid = configuration.grid, block = configuration.block;
    const uint64_t threads = uint64_t{block.x} * block.y * block.z;
    return threads >= 1 && threads <= kThreads && block.z <= 64 && grid.x >= 1 && grid.y >= 1 &&
           grid.z >= 1 && grid.x <= 0x7fffffff && grid.y <= 65535 && grid.z <= 65535;
}

}  // namespace

Settings settings;

Worker::Worker(int number)
    : number(number),
      fibers(lelkern::emulation::fibers + number * kThreads),
      dynamic_buffer(static_cast<unsigned char*>(
          std::aligned_alloc(1024, static_cast<std::size_t>(kSharedBytes + 2 * kMargin)))) {
    std::memset(dynamic_buffer, 0xff, static_cast<std::size_t>(kSharedBytes + 2 * kMargin));
}

Worker::~Worker() { std::free(dynamic_buffer); }

int64_t take_launches() { return std::exchange(launches, 0); }

cudaError_t run(const Configuration& configuration, void (*call)(void*), void* data) {
    ++launches;
    if (!possible(configuration)) return cudaErrorInvalidConfiguration;
    if (configuration.shared_bytes < 0 || configuration.shared_bytes > kSharedBytes) {
        return cudaErrorInvalidValue;
    }
    make_stacks();
    const dim3 grid = configuration.grid;
    Launch launch;
    launch.configuration = configuration;
    launch.call = call;
    launch.data = data;
    launch.settings = settings;
    launch.order = block_order(uint64_t{grid.x} * grid.y * grid.z, settings);
    const auto count = static_cast<int>(std::min<uint64_t>(
        launch.order.size(), static_cast<uint64_t>(std::clamp(settings.workers, 1, kWorkers))));
    launch.workers = count;
    while (static_cast<int>(workers.size()) < count) {
        workers.push_back(std::make_unique<Worker>(static_cast<int>(workers.size())));
    }
    std::vector<std::thread> threads;
    for (int i = 1; i < count; ++i) {
        threads.emplace_back([&launch, i] { work(*workers[static_cast<std::size_t>(i)], launch); });
    }
    work(*workers[0], launch);
    for (std::thread& thread : threads) thread.join();
    if (configuration.checked && count > 1) find_races_between(workers, count);
    return launch.stopped ? cudaErrorLaunchFailure : cudaSuccess;
}

uint3 thread_index() { return current()->thread; }
uint3 block_index() { return current()->worker->block; }
dim3 block_size() { return current()->worker->launch->configuration.block; }
dim3 grid_size() { return current()->worker->launch->configuration.grid; }
void* dynamic_shared() { return reinterpret_cast<void*>(current()->worker->shared.dynamic); }

}  // namespace lelkern::emulation
