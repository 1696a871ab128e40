#include "chain.h"

#include "host_copy.h"
#include "memory_use.h"

#include <algorithm>

namespace les {

using torch::Tensor;

namespace {

// The sums that are differentiated at once: for each quantity itself, then its moments.
struct Track {
  size_t quantity;
  int64_t direction;    // -1: the quantity itself
};

std::vector<Track> tracks_of(const std::vector<Quantity> &quantities)
{
  std::vector<Track> tracks;
  for (size_t q = 0; q < quantities.size(); q++) {
    tracks.push_back({q, -1});
    const int64_t k = quantities[q].directions.defined() ? quantities[q].directions.size(0) : 0;
    for (int64_t a = 0; a < k; a++) tracks.push_back({q, a});
  }
  return tracks;
}

// One after the other, of which there may be none.
Tensor joined(const std::vector<Tensor> &chunks, torch::IntArrayRef none, const torch::TensorOptions &options)
{
  return chunks.empty() ? torch::empty(none, options) : chunks.size() == 1 ? chunks[0] : torch::cat(chunks);
}

Tensor sets_of(const std::vector<Tensor> &sets) { return sets.size() == 1 ? sets[0].unsqueeze(0) : torch::stack(sets); }

}    // namespace

// Number of edges of a chunk, and the first of them.
int64_t Chain::edges_of(int piece, const Chunk &chunk, int64_t *begin) const
{
  const bool all = !cut() && network_.metadata().network.layers > 1 && piece == 0;
  *begin = all ? 0 : graph_->first_edge(chunk.begin);
  return all ? graph_->n_edges() : graph_->first_edge(chunk.begin + chunk.n) - *begin;
}

PieceInput Chain::input(int piece, const Chunk &chunk) const
{
  const Level &level = levels_[piece];
  int64_t begin = 0;
  const int64_t count = edges_of(piece, chunk, &begin);
  PieceInput in;
  in.piece = piece;
  in.n = chunk.n;
  in.row_length = graph_->row_length;
  in.edge_vectors = graph_->edge_vectors.narrow(0, begin, count);
  in.edge_index = graph_->edge_index.narrow(1, begin, count);
  in.species = graph_->species;
  const Tensor neighbor = in.edge_index[1];
  if (chunk.begin > 0 ||
      level.chunks.size() > 1) {    // centers from 0 on; of a neighbor a piece wants to know the species alone
    const auto index = graph_->edge_index.options();
    in.edge_index = torch::stack({in.edge_index[0] - chunk.begin, torch::arange(chunk.n, chunk.n + count, index)});
    in.species =
        torch::cat({graph_->species.narrow(0, chunk.begin, chunk.n), graph_->species.index_select(0, neighbor)});
  }
  in.kept = level.kept.narrow(0, chunk.begin, chunk.n);
  if (piece == 0) {
    in.sent = level.sent;
    in.source = torch::empty({0}, neighbor.options());
  } else if (!chunk.by_edges) {
    in.sent = level.sent;
    in.source = neighbor;
  } else {
    in.sent = level.sent.index_select(0, neighbor);
    in.source = torch::arange(count, neighbor.options());
  }
  return in;
}

std::vector<Tensor> Chain::evaluate(int piece, Chunk &chunk, Keep keep)
{
  // moments are weighed edge by edge; and of several chunks each would sum over the rows of all atoms
  chunk.by_edges = keep == Keep::Moments || levels_[piece].chunks.size() > 1;
  double &per_center = bytes_per_center_[piece];    // 0: not known yet
  const double expected = stored_bytes_ + per_center * static_cast<double>(chunk.n);
  if (keep == Keep::Nothing || expected >= store_bytes_ || !MemoryUse::possible())
    return network_.evaluate(input(piece, chunk), nullptr);
  const PieceInput in = input(piece, chunk);
  const MemoryUse use;
  auto out = network_.evaluate(in, &chunk.stored);
  per_center = std::max(per_center, use.bytes() / static_cast<double>(chunk.n));
  stored_bytes_ += use.bytes();
  return out;
}

std::vector<LatentKind> Chain::given() const
{
  std::vector<LatentKind> kinds;
  for (const LatentKind &kind : LATENTS)
    if (network_.metadata().gives(kind.name)) kinds.push_back(kind);
  return kinds;
}

// alpha as a multiple of the unit matrix
bool Chain::by_number(const LatentKind &kind) const
{
  return kind.member == &Latents::alpha && network_.metadata().response.alpha_rank == 0;
}

Chain::Outputs Chain::forward(const Graph &graph, Keep keep)
{
  graph_ = &graph;
  const auto &about = network_.metadata().network;
  const int pieces = about.pieces();
  const auto options = torch::dtype(network_.dtype()).device(network_.device());
  levels_.clear();
  levels_.resize(pieces);
  bytes_per_center_.resize(pieces, 0.0);
  stored_bytes_ = 0.0;
  levels_[0].kept = torch::empty({graph.n_all(), 0}, options);
  levels_[0].sent = torch::empty({0, 0}, options);
  for (int t = 0;; t++) {
    Level &level = levels_[t];
    const size_t reach = std::min<size_t>(pieces - 1 - t, graph.rings.size() - 1);
    level.n = graph.rings[reach];
    if (level.n > 0) {
      // of several chunks, each would else sum over the rows of all atoms
      const bool by_edges = keep == Keep::Moments || level.n > network_.most_centers(false);
      const int64_t chunks = cut() ? (level.n - 1) / network_.most_centers(by_edges) + 1 : 1,
                    size = (level.n - 1) / chunks + 1;    // of even size
      for (int64_t begin = 0; begin < level.n; begin += size)
        level.chunks.push_back({begin, std::min(size, level.n - begin), nullptr, false});
    }
    std::vector<std::vector<Tensor>> outputs(t + 1 == pieces ? 1 + network_.metadata().latents.size() : 2);
    for (Chunk &chunk : level.chunks) {
      const auto out = evaluate(t, chunk, keep);
      for (size_t i = 0; i < out.size(); i++) outputs[i].push_back(out[i]);
    }
    if (t + 1 == pieces) {
      const int64_t channels = network_.metadata().charges.channels;
      Outputs found{joined(outputs[0], {0}, options), {torch::empty({level.n, 0}, options)}};
      size_t next = 1;
      for (const LatentKind &kind : given()) {
        const Tensor rows = joined(outputs[next++], network_.metadata().latent_shape(kind.name, 0), options);
        found.latents.*kind.member = by_number(kind) ? rows.view({level.n, channels, 1, 1}) * torch::eye(3, options)
                                                     : rows;
      }
      return found;
    }
    levels_[t + 1].kept = joined(outputs[0], {0, about.kept[t]}, options);
    const Tensor sent = joined(outputs[1], {0, about.sent[t]}, options);
    levels_[t + 1].sent = graph.exchange ? graph.exchange->forward(sent) : sent;
  }
}

std::vector<EdgeResponse> Chain::backward(const std::vector<Quantity> &quantities, bool last)
{
  const Graph &graph = *graph_;
  const auto options = torch::dtype(network_.dtype()).device(network_.device());
  const auto f64 = options.dtype(torch::kFloat64);
  const int64_t n = graph.n_owned, n_edges = graph.n_edges();
  const bool by_position =
      !cut();    // one piece of several layers: where ghosts stand takes the place of the way to them
  const std::vector<Track> tracks = tracks_of(quantities);
  const auto count = static_cast<int64_t>(tracks.size());

  // ---- weights of the last piece, for the tracks that begin there
  std::vector<Tensor> along_edges, along_positions;    // [E, k], [n_all, k] of each quantity
  for (const Quantity &q : quantities) {
    const Tensor d = q.directions.defined() ? to_device(q.directions.t().contiguous(), network_.device()) : Tensor();
    along_edges.push_back(d.defined() && !by_position ? graph.edge_vectors.matmul(d) : Tensor());
    along_positions.push_back(
        d.defined() && by_position ? (graph.positions - graph.positions.narrow(0, 0, n).mean(0)).matmul(d) : Tensor());
  }
  const std::vector<LatentKind> kinds = given();
  std::vector<int64_t> active;
  std::vector<Tensor> energy;
  std::vector<std::vector<Tensor>> latents(kinds.size());
  for (int64_t i = 0; i < count; i++) {
    const auto [which, direction] = tracks[i];
    const Quantity &q = quantities[which];
    const Tensor u = direction >= 0 && q.beside.defined() ? q.beside[direction].to(options) : Tensor();
    if (direction >= 0 && !by_position && !u.defined()) continue;    // begins at the next cut
    active.push_back(i);
    // along a direction, by the place of the atom, or what stands beside it alone
    const Tensor x = direction >= 0 && by_position
                         ? along_positions[which].select(1, direction).narrow(0, 0, n).to(options)
                         : Tensor();
    const bool weighed = direction < 0 || x.defined();
    if (q.energy && weighed) energy.push_back(x.defined() ? x : torch::ones({n}, options));
    for (size_t l = 0; l < kinds.size(); l++) {
      Tensor w = weighed ? q.latents.*kinds[l].member : Tensor();
      if (w.defined()) w = w.to(options);
      if (w.defined() && x.defined()) w = (w.flatten(1) * x.unsqueeze(1)).view_as(w);
      if (u.defined() && kinds[l].member == &Latents::charge) w = w.defined() ? w + u : u;
      latents[l].push_back(w);
    }
  }
  std::vector<Tensor> weights{energy.empty() ? torch::empty({0, n}, options) : sets_of(energy)};
  for (size_t l = 0; l < kinds.size(); l++) {
    for (Tensor &w : latents[l]) {
      if (!w.defined()) w = torch::zeros(network_.metadata().latent_shape(kinds[l].name, n), options);
      else if (by_number(kinds[l])) w = w.diagonal(0, 2, 3).sum(-1);
    }
    weights.push_back(sets_of(latents[l]));
  }

  // ---- down the chain
  const int pieces = network_.pieces();
  std::vector<Tensor> by_edges(count);    // [E, 3] f64, undefined where nothing was added
  for (int t = pieces - 1; t >= 0; t--) {
    Level &level = levels_[t];
    const int64_t below = t > 0 ? levels_[t - 1].n : 0, rows = level.sent.size(0);
    const int64_t kept_width = t > 0 ? level.kept.size(1) : 0, sent_width = t > 0 ? level.sent.size(1) : 0;
    Tensor by_kept, by_sent;
    if (t > 0) {
      by_kept = torch::zeros({count, below, kept_width}, options);
      by_sent = torch::zeros({count, rows, sent_width}, options);    // of a rank without atoms too
    }
    // the first gradients of a track are copied, where there are some of all edges; what follows is added
    const bool all_edges = level.n == graph.rings.back(), moments = count > static_cast<int64_t>(quantities.size());
    // nothing follows the gradients of one layer; on a GPU they are tallied in f64
    const auto type = t == 0 && !moments && network_.device().is_cpu() ? options : f64;
    std::vector<bool> first(count, false);
    for (const int64_t i : active)
      if (!by_edges[i].defined()) {
        first[i] = all_edges;
        by_edges[i] = all_edges ? torch::empty({n_edges, 3}, type) : torch::zeros({n_edges, 3}, f64);
      }
    for (Chunk &chunk : level.chunks) {
      std::vector<Tensor> of_chunk;
      for (const Tensor &w : weights) of_chunk.push_back(w.narrow(1, chunk.begin, chunk.n));
      std::unique_ptr<Stored> again;
      if (!chunk.stored || (t > 0 && moments && !chunk.by_edges)) {
        chunk.by_edges = chunk.by_edges || moments;
        chunk.stored.reset();    // it is of the other layout
        network_.evaluate(input(t, chunk), &again);
      }
      const PieceGradients found = network_.backward(again ? *again : *chunk.stored, of_chunk, last || again);

      int64_t begin = 0;
      const int64_t edges = edges_of(t, chunk, &begin);
      for (size_t s = 0; s < active.size(); s++) {
        const Tensor of_set = found.edge_vectors[s];
        Tensor &all = by_edges[active[s]], part = all.narrow(0, begin, edges);
        if (!first[active[s]]) part += of_set;
        else if (edges == n_edges && all.scalar_type() == of_set.scalar_type()) all = of_set;
        else part.copy_(of_set);
      }
      if (t == 0) continue;
      std::vector<Tensor> sent(count);    // [E, S] of each track
      for (size_t s = 0; s < active.size(); s++) {
        by_kept[active[s]].narrow(0, chunk.begin, chunk.n).copy_(found.kept[s]);
        sent[active[s]] = found.sent[s];
      }
      for (int64_t i = 0, plain = 0; i < count; i++) {
        const auto [which, direction] = tracks[i];
        if (direction < 0) {
          plain = i;
          continue;
        }
        const Tensor reach = along_edges[which].narrow(0, begin, edges).select(1, direction).unsqueeze(1).to(options);
        sent[i] = sent[i].defined() ? sent[i] - reach * sent[plain] : -reach * sent[plain];
      }
      if (!chunk.by_edges) by_sent = torch::stack(sent);    // of the only chunk
      for (int64_t i = 0; i < count && chunk.by_edges; i++) {
        Tensor rows_of_track = by_sent[i];
        add_rows(rows_of_track, graph.edge_index[1].narrow(0, begin, edges), sent[i], 1.0);
      }
    }
    // not on the way: temporaries of the next chunk would take the place of what is freed, which is in no cache
    for (Chunk &chunk : level.chunks)
      if (last) chunk.stored.reset();
    if (t == 0) break;
    if (graph.exchange)
      by_sent = graph.exchange->reverse(by_sent.transpose(0, 1).reshape({rows, count * sent_width}))
                    .view({below, count, sent_width})
                    .transpose(0, 1);
    weights = {by_kept, by_sent};
    active.clear();
    for (int64_t i = 0; i < count; i++) active.push_back(i);
  }

  std::vector<EdgeResponse> out(quantities.size());
  for (size_t q = 0, i = 0; q < quantities.size(); q++) {
    out[q].total = by_edges[i++];
    std::vector<Tensor> moments;
    const int64_t k = quantities[q].directions.defined() ? quantities[q].directions.size(0) : 0;
    for (int64_t a = 0; a < k; a++, i++) {
      if (!by_edges[i].defined()) continue;
      if (by_position)
        by_edges[i] -= along_positions[q].select(1, a).index_select(0, graph.edge_index[0]).unsqueeze(1) * out[q].total;
      moments.push_back(by_edges[i]);
    }
    if (!moments.empty()) out[q].moment = torch::stack(moments, 1);
  }
  if (last) stored_bytes_ = 0.0;
  return out;
}

}    // namespace les
