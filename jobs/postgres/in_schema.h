// One transaction with the owning service's schema in front: unqualified names are its own.
#pragma once

#include <string>
#include <utility>

#include <pqxx/pqxx>

#include "base/postgres/pool.h"

namespace floe::jobs {

// `fn` as postgres::Pool::Transaction takes it.
template <typename Fn>
auto InSchema(postgres::Pool& pool, const std::string& schema, Fn&& fn) {
  return pool.Transaction([&](pqxx::transaction_base& sql) {
    sql.exec_params("SELECT set_config('search_path', quote_ident($1), true)", schema);
    return fn(sql);
  });
}

}  // namespace floe::jobs
