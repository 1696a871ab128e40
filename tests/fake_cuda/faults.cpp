// Commits one of the faults that the fake device must show: `faults NAME`, with the library preloaded.

#include <torch/cuda.h>
#include <torch/types.h>

#include <cstdio>
#include <functional>
#include <map>

using torch::Tensor;

namespace {

const auto CUDA = torch::dtype(torch::kFloat64).device(torch::kCUDA);

void none()
{
  const Tensor a = torch::arange(6, CUDA).view({2, 3}),
               b = 2.0 * a.t().matmul(a).index_select(0, torch::tensor({2, 0}).pin_memory().to(torch::kCUDA, true));
  std::printf("sum %g\n", b.sum().item<double>());
}

void two_devices() { torch::ones({2, 3}, CUDA) + torch::ones({2, 3}, torch::kFloat64); }

void two_gpus() { torch::ones({3}, CUDA) + torch::ones({3}, torch::dtype(torch::kFloat64).device(torch::kCUDA, 1)); }

void host_index() { torch::ones({5, 3}, CUDA).index_select(0, torch::tensor({0, 4})); }

void pointer()
{
  const Tensor a = torch::ones({4}, CUDA);
  std::printf("read %g\n", a.data_ptr<double>()[2]);
}

void write_pointer() { torch::zeros({4}, CUDA).data_ptr<double>()[2] = 1.0; }

void unwritten() { torch::empty({7, 3}, CUDA).sum(); }

void unwritten_index()
{
  const Tensor index = torch::empty({3}, torch::dtype(torch::kInt64).device(torch::kCUDA));
  torch::ones({5}, CUDA).index_select(0, index);
}

void partly_unwritten()
{
  const Tensor a = torch::empty({4, 3}, CUDA);
  a.narrow(0, 0, 3).fill_(1.0);
  2.0 * a;
}

void unwritten_to_host() { torch::empty({2}, CUDA).to(torch::kCPU); }

void freed()
{
  double *at = nullptr;
  {
    const Tensor a = torch::ones({3}, CUDA);
    at = a.data_ptr<double>();
  }
  torch::from_blob(at, {3}, CUDA).sum();
}

// Three waits: two values and a list of unknown length.
void waits()
{
  const Tensor a = torch::arange(4, CUDA);
  a.sum().item<double>();
  a.max().item<double>();
  (a > 1.0).nonzero();
}

const std::map<std::string, std::function<void()>> FAULTS{{"none", none},
                                                          {"two_devices", two_devices},
                                                          {"two_gpus", two_gpus},
                                                          {"host_index", host_index},
                                                          {"pointer", pointer},
                                                          {"write_pointer", write_pointer},
                                                          {"unwritten", unwritten},
                                                          {"unwritten_index", unwritten_index},
                                                          {"partly_unwritten", partly_unwritten},
                                                          {"unwritten_to_host", unwritten_to_host},
                                                          {"freed", freed},
                                                          {"waits", waits}};

}    // namespace

int main(int argc, char **argv)
{
  const auto fault = FAULTS.find(argc == 2 ? argv[1] : "");
  if (fault == FAULTS.end() || !torch::cuda::is_available()) {
    std::fprintf(stderr, "expected the name of a fault, and a CUDA device; see faults.cpp\n");
    return 2;
  }
  try {
    fault->second();
  } catch (const std::exception &) {
    return 1;
  }
  return 0;
}
