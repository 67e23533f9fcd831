// All pairs of two small sets of rows in the exact forms: look-up tables of queries, distances between candidates.

inline void pairwise_dot(const float* a, int64_t n, const float* b, int64_t k, int64_t d, double* out) {
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j < k; ++j) out[i * k + j] = exact_dot(a + i * d, b + j * d, d);
  }
}

inline void pairwise_sqdist(const float* a, int64_t n, const float* b, int64_t k, int64_t d, double* out) {
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j < k; ++j) out[i * k + j] = exact_sqdist(a + i * d, b + j * d, d);
  }
}
