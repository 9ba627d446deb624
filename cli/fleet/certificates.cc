#include "cli/fleet/certificates.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <sys/stat.h>

#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/files.h"
#include "base/status_macros.h"

namespace floe::cli {
namespace {

constexpr absl::Duration kAuthorityLife = absl::Hours(24 * 3650);
constexpr absl::Duration kServiceLife = absl::Hours(24 * 365);
constexpr absl::Duration kRenewBefore = absl::Hours(24 * 30);

template <auto free>
struct Free {
  template <typename T>
  void operator()(T* object) const {
    free(object);
  }
};
using Key = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Free<X509_free>>;
using Bio = std::unique_ptr<BIO, Free<BIO_free_all>>;

absl::Status OpenSslError(const std::string& what) {
  char text[256];
  ERR_error_string_n(ERR_get_error(), text, sizeof(text));
  ERR_clear_error();
  return absl::InternalError(absl::StrCat(what, ": ", text));
}

std::string BytesOf(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);  // NOLINT: the type of OpenSSL's interface
  return std::string(data, static_cast<size_t>(size));
}

// Private from the first byte: made with 0600, then renamed into place.
absl::Status WritePrivate(const std::filesystem::path& path, const std::string& bytes) {
  const mode_t before = ::umask(077);
  const absl::Status status = WriteFileAtomically(path, bytes);
  ::umask(before);
  return status;
}

absl::Status WritePair(const std::filesystem::path& stem, X509* certificate, EVP_PKEY* key) {
  Bio key_bio(BIO_new(BIO_s_mem())), certificate_bio(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_PKCS8PrivateKey(key_bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) !=
          1 ||
      PEM_write_bio_X509(certificate_bio.get(), certificate) != 1) {
    return OpenSslError(absl::StrCat("cannot encode ", stem.string()));
  }
  FLOE_RETURN_IF_ERROR(WritePrivate(stem.string() + ".key", BytesOf(key_bio.get())));
  return WritePrivate(stem.string() + ".pem", BytesOf(certificate_bio.get()));
}

Certificate ReadCertificate(const std::filesystem::path& path) {
  const auto bytes = ReadFile(path, 1 << 20);
  if (!bytes.ok()) return nullptr;
  Bio bio(BIO_new_mem_buf(bytes->data(), static_cast<int>(bytes->size())));
  Certificate certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  ERR_clear_error();
  return certificate;
}

Key ReadKey(const std::filesystem::path& path) {
  const auto bytes = ReadFile(path, 1 << 20);
  if (!bytes.ok()) return nullptr;
  Bio bio(BIO_new_mem_buf(bytes->data(), static_cast<int>(bytes->size())));
  Key key(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr));
  ERR_clear_error();
  return key;
}

bool LastsUntil(X509* certificate, absl::Time time) {
  time_t until = absl::ToTimeT(time);
  return X509_cmp_time(X509_get0_notAfter(certificate), &until) > 0;
}

struct Issue {
  std::string common_name;
  std::string alternative_names;  // of X509v3: "DNS:localhost,IP:127.0.0.1"; empty: an authority
  absl::Time now;
};

bool AddExtension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
  if (extension == nullptr) return false;
  const bool added = X509_add_ext(certificate, extension, -1) == 1;
  X509_EXTENSION_free(extension);
  return added;
}

bool AddExtensions(X509* certificate, X509* issuer, const Issue& issue) {
  if (issue.alternative_names.empty()) {
    return AddExtension(certificate, issuer, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
           AddExtension(certificate, issuer, NID_key_usage, "critical,keyCertSign,cRLSign") &&
           AddExtension(certificate, issuer, NID_subject_key_identifier, "hash");
  }
  return AddExtension(certificate, issuer, NID_basic_constraints, "critical,CA:FALSE") &&
         AddExtension(certificate, issuer, NID_key_usage, "critical,digitalSignature") &&
         AddExtension(certificate, issuer, NID_ext_key_usage, "serverAuth,clientAuth") &&
         AddExtension(certificate, issuer, NID_subject_alt_name, issue.alternative_names);
}

bool SetSerial(X509* certificate) {
  unsigned char bytes[16];
  if (RAND_bytes(bytes, sizeof(bytes)) != 1) return false;
  bytes[0] &= 0x7f;
  BIGNUM* number = BN_bin2bn(bytes, sizeof(bytes), nullptr);
  const bool set = number != nullptr &&
                   BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != nullptr;
  BN_free(number);
  return set;
}

// A certificate for `key`, signed by `issuer_key`; signs itself when `issuer` is null.
absl::StatusOr<Certificate> Sign(const Issue& issue, EVP_PKEY* key, X509* issuer,
                                 EVP_PKEY* issuer_key) {
  Certificate certificate(X509_new());
  X509* x = certificate.get();
  if (issuer == nullptr) issuer = x;
  const absl::Duration life = issue.alternative_names.empty() ? kAuthorityLife : kServiceLife;
  X509_NAME* subject = X509_get_subject_name(x);
  const auto* name = reinterpret_cast<const unsigned char*>(issue.common_name.c_str());
  // A clock that is set back a little must not make the fleet's certificates invalid.
  const bool made =
      X509_set_version(x, 2) == 1 && SetSerial(x) &&
      ASN1_TIME_set(X509_getm_notBefore(x), absl::ToTimeT(issue.now - absl::Hours(24))) !=
          nullptr &&
      ASN1_TIME_set(X509_getm_notAfter(x), absl::ToTimeT(issue.now + life)) != nullptr &&
      X509_NAME_add_entry_by_txt(subject, "O", MBSTRING_ASC,
                                 reinterpret_cast<const unsigned char*>("Floe"), -1, -1, 0) == 1 &&
      X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, name, -1, -1, 0) == 1 &&
      X509_set_issuer_name(x, X509_get_subject_name(issuer)) == 1 && X509_set_pubkey(x, key) == 1 &&
      AddExtensions(x, issuer, issue) && X509_sign(x, issuer_key, EVP_sha256()) > 0;
  if (!made) return OpenSslError(absl::StrCat("cannot make a certificate for ", issue.common_name));
  return certificate;
}

absl::Status MakeAuthority(const std::filesystem::path& folder, absl::Time now, Certificate& ca,
                           Key& key) {
  key.reset(EVP_EC_gen("P-256"));
  if (key == nullptr) return OpenSslError("cannot make a key");
  FLOE_ASSIGN_OR_RETURN(ca, Sign({"Floe fleet authority", "", now}, key.get(), nullptr, key.get()));
  return WritePair(folder / "ca", ca.get(), key.get());
}

}  // namespace

absl::Status EnsureCertificates(const std::filesystem::path& folder,
                                std::span<const std::string> names, absl::Time now) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return ErrnoStatus(error.value(), absl::StrCat("cannot make ", folder.string()));
  std::filesystem::permissions(folder, std::filesystem::perms::owner_all, error);
  Certificate ca = ReadCertificate(folder / "ca.pem");
  Key ca_key = ReadKey(folder / "ca.key");
  if (ca == nullptr || ca_key == nullptr || X509_check_private_key(ca.get(), ca_key.get()) != 1 ||
      !LastsUntil(ca.get(), now + kServiceLife)) {
    ERR_clear_error();
    FLOE_RETURN_IF_ERROR(MakeAuthority(folder, now, ca, ca_key));
  }
  for (const std::string& name : names) {
    const Certificate old = ReadCertificate(folder / (name + ".pem"));
    const Key old_key = ReadKey(folder / (name + ".key"));
    if (old != nullptr && old_key != nullptr &&
        X509_check_private_key(old.get(), old_key.get()) == 1 &&
        X509_verify(old.get(), X509_get0_pubkey(ca.get())) == 1 &&
        LastsUntil(old.get(), now + kRenewBefore)) {
      continue;
    }
    ERR_clear_error();
    const Key key(EVP_EC_gen("P-256"));
    if (key == nullptr) return OpenSslError("cannot make a key");
    const Issue issue{absl::StrCat("floe-", name),
                      absl::StrCat("DNS:localhost,DNS:floe-", name, ",IP:127.0.0.1,IP:::1"), now};
    FLOE_ASSIGN_OR_RETURN(const Certificate made, Sign(issue, key.get(), ca.get(), ca_key.get()));
    FLOE_RETURN_IF_ERROR(WritePair(folder / name, made.get(), key.get()));
  }
  return absl::OkStatus();
}

}  // namespace floe::cli
