#include "tests/services/gateway/http/http_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cstdlib>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

#include "base/view.h"

namespace floe::gateway {

HttpClient::HttpClient(int port, int receive_buffer) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
  const timeval patience{20, 0};
  ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  ::setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
  if (receive_buffer > 0) {
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof(receive_buffer));
  }
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) Close();
}

HttpClient::~HttpClient() { Close(); }

void HttpClient::Close() {
  if (socket_ >= 0) ::close(socket_);
  socket_ = -1;
}

void HttpClient::CloseSending() { ::shutdown(socket_, SHUT_WR); }

bool HttpClient::Write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(count));
  }
  return true;
}

bool HttpClient::Fill() {
  char bytes[16384];
  const ssize_t count = ::recv(socket_, bytes, sizeof(bytes), 0);
  if (count <= 0) return false;
  buffer_.append(bytes, static_cast<size_t>(count));
  return true;
}

bool HttpClient::Await(std::string_view mark) {
  while (buffer_.find(mark) == std::string::npos) {
    if (!Fill()) return false;
  }
  return true;
}

std::string HttpClient::ReadUntil(std::string_view mark) {
  if (!Await(mark)) return std::exchange(buffer_, "");
  std::string read = buffer_.substr(0, buffer_.find(mark) + mark.size());
  buffer_.erase(0, read.size());
  return read;
}

bool HttpClient::ReadToEnd() {
  while (true) {
    char bytes[16384];
    const ssize_t count = ::recv(socket_, bytes, sizeof(bytes), 0);
    if (count > 0) continue;
    return count == 0 || errno == ECONNRESET;
  }
}

size_t HttpClient::Trickle() {
  size_t bytes = 0;
  char byte = 0;
  while (::recv(socket_, &byte, 1, 0) == 1) ++bytes;
  return bytes;
}

HttpAnswer HttpClient::ReadAnswer() {
  HttpAnswer answer;
  std::string head = ReadUntil("\r\n\r\n");
  if (!head.starts_with("HTTP/1.")) return answer;
  answer.status = std::atoi(head.c_str() + 9);
  size_t at = head.find("\r\n") + 2;
  for (size_t end; (end = head.find("\r\n", at)) != std::string::npos && end > at; at = end + 2) {
    const std::string line = head.substr(at, end - at);
    const size_t colon = line.find(": ");
    answer.headers[absl::AsciiStrToLower(line.substr(0, colon))] = line.substr(colon + 2);
  }
  if (answer.headers.contains("content-length")) {
    const auto size = static_cast<size_t>(std::atoi(answer.headers["content-length"].c_str()));
    while (buffer_.size() < size && Fill()) {
    }
    answer.body = buffer_.substr(0, size);
    buffer_.erase(0, size);
  } else if (answer.headers.contains("transfer-encoding")) {
    while (true) {
      const std::string line = ReadUntil("\r\n");
      const size_t size = std::strtoul(line.c_str(), nullptr, 16);
      while (buffer_.size() < size + 2 && Fill()) {
      }
      answer.body += buffer_.substr(0, size);
      buffer_.erase(0, size + 2);
      if (size == 0) break;
    }
  } else if (answer.status >= 200) {
    while (Fill()) {
    }
    answer.body = std::exchange(buffer_, "");
  }
  return answer;
}

std::string PostText(std::string_view path, std::string_view body, std::string_view key,
                     std::string_view headers) {
  return absl::StrCat("POST ", AbslView(path), " HTTP/1.1\r\nHost: test\r\n",
                      key.empty() ? "" : absl::StrCat("Authorization: Bearer ", AbslView(key)),
                      key.empty() ? "" : "\r\n", AbslView(headers),
                      "Content-Type: application/json\r\nContent-Length: ", body.size(), "\r\n\r\n",
                      AbslView(body));
}

HttpAnswer HttpClient::Post(std::string_view path, std::string_view body, std::string_view key,
                            std::string_view headers) {
  if (!Write(PostText(path, body, key, headers))) return {};
  return ReadAnswer();
}

HttpAnswer HttpClient::Get(std::string_view path, std::string_view key) {
  Write(absl::StrCat("GET ", AbslView(path), " HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer ",
                     AbslView(key), "\r\n\r\n"));
  return ReadAnswer();
}

std::vector<std::string> EventsOf(std::string_view body) {
  std::vector<std::string> events;
  while (!body.empty()) {
    const size_t end = body.find("\n\n");
    std::string_view event = body.substr(0, end);
    if (event.starts_with("data: ")) events.emplace_back(event.substr(6));
    if (end == std::string_view::npos) break;
    body.remove_prefix(end + 2);
  }
  return events;
}

}  // namespace floe::gateway
