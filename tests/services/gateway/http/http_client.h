// A client of HTTP that does what a test tells it, byte by byte if need be.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace floe::gateway {

struct HttpAnswer {
  int status = 0;                              // 0: the server closed without one
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;                            // chunks put together
};

// One connection to 127.0.0.1. Blocks at most 20 s for anything; a test that would wait for ever
// fails instead. Not thread-safe.
class HttpClient {
 public:
  // `receive_buffer` > 0: of the socket, for a client that is slow to read.
  explicit HttpClient(int port, int receive_buffer = 0);
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;
  ~HttpClient();

  bool Write(std::string_view bytes);
  // The next answer on this connection.
  HttpAnswer ReadAnswer();
  // Whether `mark` comes before the end; takes nothing away.
  bool Await(std::string_view mark);
  // Raw bytes until `mark` has come (included), or the end.
  std::string ReadUntil(std::string_view mark);
  // Whether the server closes (after any bytes).
  bool ReadToEnd();
  // Reads one byte after the other to the end: how many came.
  size_t Trickle();
  // Sends no more, and still reads.
  void CloseSending();
  void Close();

  // A request with a key and a JSON body, and its answer.
  HttpAnswer Post(std::string_view path, std::string_view body,
                  std::string_view key = "floe-consumer", std::string_view headers = "");
  HttpAnswer Get(std::string_view path, std::string_view key = "floe-consumer");

 private:
  bool Fill();

  int socket_ = -1;
  std::string buffer_;
};

std::string PostText(std::string_view path, std::string_view body,
                     std::string_view key = "floe-consumer", std::string_view headers = "");

// The `data:` lines of a stream.
std::vector<std::string> EventsOf(std::string_view body);

}  // namespace floe::gateway
