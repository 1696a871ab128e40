// Ranks that are threads of one process, so that tests see what several ranks give.
#pragma once

#include "communicator.h"

#include <barrier>
#include <exception>
#include <functional>
#include <memory>
#include <thread>

namespace les {

class ThreadCommunicator : public Communicator {
 public:
  // What all ranks see.
  struct Board {
    explicit Board(int size) : meeting(size), notes(size), parcels(size) {}
    std::barrier<> meeting;
    std::vector<torch::Tensor> notes;                    // of each rank
    std::vector<const std::vector<Parcel> *> parcels;    // that each rank sends
  };

  ThreadCommunicator(std::shared_ptr<Board> board, int rank) : board_(std::move(board)), rank_(rank) {}

  int rank() const override { return rank_; }
  int size() const override { return static_cast<int>(board_->notes.size()); }

  torch::Tensor sum(const torch::Tensor &values) const override
  {
    return together(values, [&] {
      torch::Tensor total = board_->notes[0].clone();
      for (int r = 1; r < size(); r++) total += board_->notes[r];
      return total;
    });
  }

  torch::Tensor gather_rows(const torch::Tensor &rows) const override
  {
    return together(rows, [&] { return torch::cat(board_->notes, 0); });
  }

  void exchange(const std::vector<Parcel> &outgoing, std::vector<Parcel> &incoming) const override
  {
    board_->parcels[rank_] = &outgoing;
    board_->meeting.arrive_and_wait();
    for (Parcel &mine : incoming)
      for (const Parcel &theirs : *board_->parcels[mine.rank])
        if (theirs.rank == rank_) mine.values.copy_(theirs.values);
    board_->meeting.arrive_and_wait();
  }

 private:
  std::shared_ptr<Board> board_;
  int rank_;

  template <class F> torch::Tensor together(const torch::Tensor &mine, F &&read) const
  {
    board_->notes[rank_] = mine;
    board_->meeting.arrive_and_wait();
    const torch::Tensor result = read();
    board_->meeting.arrive_and_wait();    // all have read
    return result;
  }
};

// work(rank) on each of them. A rank that throws leaves the meetings for good, so that the others end; the first exception is thrown on.
inline void on_ranks(int size, ThreadCommunicator::Board &board, const std::function<void(int)> &work)
{
  if (size == 1) return work(0);
  std::vector<std::exception_ptr> failures(size);
  std::vector<std::thread> threads;
  const auto run = [&](int rank) {
    try {
      work(rank);
    } catch (...) {
      failures[rank] = std::current_exception();
      board.meeting.arrive_and_drop();
    }
  };
  for (int rank = 1; rank < size; rank++) threads.emplace_back(run, rank);
  run(0);
  for (std::thread &thread : threads) thread.join();
  for (const std::exception_ptr &failure : failures)
    if (failure) std::rethrow_exception(failure);
}

}    // namespace les
