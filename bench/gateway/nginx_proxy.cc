#include "bench/gateway/nginx_proxy.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <iostream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

#include "tests/services/gateway/http/http_client.h"

namespace floe::gateway {
namespace {

constexpr char kConfig[] = R"(daemon off;
worker_processes auto;
pid $dir/pid;
error_log stderr crit;
events { worker_connections 1024; }
http {
  access_log off;
  client_body_temp_path $dir/body;
  proxy_temp_path $dir/proxy;
  fastcgi_temp_path $dir/fastcgi;
  uwsgi_temp_path $dir/uwsgi;
  scgi_temp_path $dir/scgi;
  keepalive_requests 100000000;
  upstream stub { server 127.0.0.1:$stub; keepalive 64; keepalive_requests 100000000; }
  server {
    listen 127.0.0.1:$port;
    location / {
      proxy_pass http://stub;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
    }
  }
  server {
    listen 127.0.0.1:$stub;
    location / { default_type application/json; return 200 '$answer'; }
  }
}
)";

// A port that was free a moment ago.
int FreePort() {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  ::bind(fd, reinterpret_cast<sockaddr*>(&address), size);
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  ::close(fd);
  return ntohs(address.sin_port);
}

}  // namespace

std::unique_ptr<NginxProxy> NginxProxy::Start(const std::string& body) {
  const std::filesystem::path program = "/usr/sbin/nginx";
  if (!std::filesystem::exists(program)) return nullptr;
  std::unique_ptr<NginxProxy> proxy(new NginxProxy());
  proxy->port_ = FreePort();
  const std::string config = absl::StrReplaceAll(
      kConfig, {{"$dir", proxy->dir_.path().string()},
                {"$port", absl::StrCat(proxy->port_)},
                {"$stub", absl::StrCat(FreePort())},
                {"$answer", absl::StrReplaceAll(body, {{"'", ""}, {"$", ""}})}});
  test::ChildProcess::Options options;
  options.argv = {program, "-c", proxy->dir_.Write("nginx.conf", config), "-p", proxy->dir_.path()};
  options.output = proxy->dir_ / "log";
  auto server = test::ChildProcess::Start(options);
  if (!server.ok()) return nullptr;
  proxy->server_ = *std::move(server);
  while (HttpClient(proxy->port_).Get("/").status != 200) {
    if (proxy->server_.Wait(absl::Milliseconds(20))) {
      std::cerr << "nginx ended; it is not measured\n";
      return nullptr;
    }
  }
  return proxy;
}

}  // namespace floe::gateway
