/// What Till sends one after the other: the states of a watch, the invoices of a list, the parts of an export.
#ifndef TILL_ITEMS_H_
#define TILL_ITEMS_H_

#include <cstddef>
#include <iterator>
#include <memory>
#include <optional>
#include <utility>

#include "till/errors.h"

namespace till {

/// Items that arrive one after the other. One thread calls Next; any may call Cancel. Destroying the items cancels them,
/// at Till too.
///
///     while (const auto item = items.Next()) ...
///     if (const auto end = items.Finish(); !end) ...
///
/// or, with the error as an exception,
///
///     for (const auto& item : items) ...
template <class T>
class Items {
 public:
  /// Where items come from. Each method does what that of Items does.
  class Source {
   public:
    virtual ~Source() = default;
    virtual std::optional<T> Next() = 0;
    virtual Result<void> Finish() const = 0;
    virtual void Cancel() = 0;
  };

  /// Items of one's own, for tests. A Client has those of a Till.
  explicit Items(std::unique_ptr<Source> source) : source_(std::move(source)) {}

  /// Waits for the next item. None: the items have ended, and Finish returns why.
  [[nodiscard]] std::optional<T> Next() { return source_->Next(); }

  /// Success after the last item; else the error that ended the items. FAILED_PRECONDITION: they have not ended. Call
  /// Next until it returns none.
  [[nodiscard]] Result<void> Finish() const { return source_->Finish(); }

  /// Ends the items: Next returns none soon, and Finish returns CANCELLED.
  void Cancel() { source_->Cancel(); }

  /// An iterator over the items, as input. Throws the Error that ends them.
  class Iterator {
   public:
    using iterator_category = std::input_iterator_tag;
    using value_type = T;
    using difference_type = std::ptrdiff_t;
    using pointer = const T*;
    using reference = const T&;

    Iterator() = default;
    reference operator*() const { return *item_; }
    pointer operator->() const { return &*item_; }
    Iterator& operator++() {
      item_ = items_->Next();
      if (!item_) items_->Finish().value();
      return *this;
    }
    void operator++(int) { ++*this; }
    /// Iterators are equal if both are at the end, or both are not.
    friend bool operator==(const Iterator& left, const Iterator& right) {
      return left.item_.has_value() == right.item_.has_value();
    }
    friend bool operator!=(const Iterator& left, const Iterator& right) { return !(left == right); }

   private:
    friend class Items;
    explicit Iterator(Items* items) : items_(items) { ++*this; }

    Items* items_ = nullptr;
    std::optional<T> item_;
  };

  /// Waits for the first item.
  [[nodiscard]] Iterator begin() { return Iterator(this); }
  [[nodiscard]] Iterator end() { return Iterator(); }

 private:
  std::unique_ptr<Source> source_;
};

}  // namespace till

#endif  // TILL_ITEMS_H_
