// The only check of the tests.
#ifndef TILL_TESTS_EXPECT_H_
#define TILL_TESTS_EXPECT_H_

#include <cstdlib>
#include <iostream>
#include <string>

inline void Expect(bool is_true, const std::string& what) {
  if (is_true) return;
  std::cerr << "FAILED: " << what << std::endl;
  std::exit(1);
}

#endif  // TILL_TESTS_EXPECT_H_
