// What the database does with the bare rows of usage events: the two ways of writing them.
#pragma once

#include <string>
#include <vector>

#include "billing/usage_event.h"

namespace floe::billing {

// In a table `bare` that has the columns and the key of billing.usage_event, and nothing else; made
// by the constructor. Exceptions of pqxx end the program.
class BareRows {
 public:
  explicit BareRows(std::string dsn);

  // Seconds for one transaction a row, as whoever posts event by event would.
  double InsertOneByOne(const std::vector<RatedEvent>& events);
  // Seconds for one COPY of all of them; what is sent is written out before.
  double Copy(const std::vector<RatedEvent>& events);

 private:
  const std::string dsn_;
};

}  // namespace floe::billing
