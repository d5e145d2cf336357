// SPDX-License-Identifier: GPL-2.0-or-later
#include "sip/tls.h"

#include "lib/addr.h"

#include <errno.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

struct sip_tls {
	SSL_CTX *ctx;
};

static int fault(const struct conf_realm *realm, const char *key, const char *path, char *why,
		 size_t why_size)
{
	unsigned long code = ERR_peek_last_error();
	const char *reason = ERR_reason_error_string(code);

	snprintf(why, why_size, "realm '%s': %s %s: %s", realm->name, key, path,
		 reason ? reason : "cannot be used");
	ERR_clear_error();
	return -EINVAL;
}

static int load(SSL_CTX *ctx, const struct conf_realm *realm, char *why, size_t why_size)
{
	const char *key = realm->tls_key ? realm->tls_key : realm->tls_cert;

	ERR_clear_error();
	if (SSL_CTX_use_certificate_chain_file(ctx, realm->tls_cert) != 1)
		return fault(realm, "tlscertfile", realm->tls_cert, why, why_size);
	if (SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1 ||
	    SSL_CTX_check_private_key(ctx) != 1)
		return fault(realm, "tlsprivatekey", key, why, why_size);
	if (!realm->tls_ca)
		return 0;
	if (SSL_CTX_load_verify_file(ctx, realm->tls_ca) != 1)
		return fault(realm, "tlscafile", realm->tls_ca, why, why_size);
	/* What a client is told that we would take. */
	SSL_CTX_set_client_CA_list(ctx, SSL_load_client_CA_file(realm->tls_ca));
	return 0;
}

/* Does the certificate name any address? */
static bool names_addresses(X509 *cert)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	bool found = false;

	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++)
		found |= sk_GENERAL_NAME_value(names, i)->type == GEN_IPADD;
	GENERAL_NAMES_free(names);
	return found;
}

/* Whom we call is configured by its address: a certificate that names addresses must name that
 * one. One that names hosts only is good where the authority's signature is. */
static int check_address(X509_STORE_CTX *store, void *arg)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	X509 *cert = X509_STORE_CTX_get0_cert(store);
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	char text[ADDR_TEXT];
	struct addr peer;

	(void)arg;
	if (X509_verify_cert(store) != 1)
		return 0;
	if (SSL_is_server(ssl) || !names_addresses(cert))
		return 1;
	if (getpeername(SSL_get_fd(ssl), (struct sockaddr *)&sa, &len) == 0 &&
	    addr_from_sockaddr(&peer, (struct sockaddr *)&sa) == 0 &&
	    X509_check_ip_asc(cert, addr_print_ip(text, &peer), 0) == 1)
		return 1;
	X509_STORE_CTX_set_error(store, X509_V_ERR_IP_ADDRESS_MISMATCH);
	return 0;
}

/* A key whose file wants a passphrase is a fault, not a question to the terminal. */
static int no_passphrase(char *buf, int size, int writing, void *arg)
{
	(void)buf;
	(void)size;
	(void)writing;
	(void)arg;
	return 0;
}

static void set_up(SSL_CTX *ctx, const struct conf_realm *realm)
{
	SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
					 SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
				      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"rtpfwd", 6);
	SSL_CTX_set_default_passwd_cb(ctx, no_passphrase);
	if (!realm->tls_verify)
		return;
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	SSL_CTX_set_cert_verify_callback(ctx, check_address, NULL);
}

int sip_tls_new(struct sip_tls **out, const struct conf_realm *realm, char *why, size_t why_size)
{
	struct sip_tls *tls = calloc(1, sizeof(*tls));
	int err = -ENOMEM;

	snprintf(why, why_size, "no memory");
	if (tls)
		tls->ctx = SSL_CTX_new(TLS_method());
	if (tls && tls->ctx) {
		set_up(tls->ctx, realm);
		err = load(tls->ctx, realm, why, why_size);
	}
	if (err)
		sip_tls_free(tls);
	else
		*out = tls;
	return err;
}

void sip_tls_free(struct sip_tls *tls)
{
	if (!tls)
		return;
	SSL_CTX_free(tls->ctx);
	free(tls);
}

struct bufferevent *sip_tls_wrap(struct sip_tls *tls, struct event_base *base, int fd,
				 bool connecting)
{
	SSL *ssl = SSL_new(tls->ctx);

	if (!ssl)
		return NULL;
	return bufferevent_openssl_socket_new(
		base, fd, ssl, connecting ? BUFFEREVENT_SSL_CONNECTING : BUFFEREVENT_SSL_ACCEPTING,
		BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
}

const char *sip_tls_fault(struct bufferevent *bev, const char *otherwise)
{
	SSL *ssl = bufferevent_openssl_get_ssl(bev);
	unsigned long code = bufferevent_get_openssl_error(bev);
	long verdict = ssl ? SSL_get_verify_result(ssl) : X509_V_OK;
	const char *reason = code ? ERR_reason_error_string(code) : NULL;

	if (verdict != X509_V_OK && SSL_get_verify_mode(ssl) != SSL_VERIFY_NONE)
		return X509_verify_cert_error_string(verdict);
	return reason ? reason : otherwise;
}
