/* SPDX-License-Identifier: Apache-2.0 */
/* A blocking HTTP/1.0 client for a node's admin port or socket: the command line's, and holdfast-lbd's. */
#ifndef HF_CLI_HTTP_H
#define HF_CLI_HTTP_H

#include <jansson.h>

/* Sends a request with a body, if there is one, and waits long enough for a change. As http_get(). */
int http_call(const char *address, const char *method, const char *path, const char *body, char **ret_body);
/* GET path from "unix:/path" or "host:port". Returns the HTTP status and the body (to be freed), or -errno. */
int http_get(const char *address, const char *path, char **ret_body);
/* The same from a server that may be silent for so long before it answers: a long poll. */
int http_poll(const char *address, const char *path, unsigned silence_s, char **ret_body);
/* POST a body to a server that counts as gone after so long a silence. As http_get(). */
int http_post(const char *address, const char *path, const char *body, unsigned silence_s, char **ret_body);
/* As http_get(), parsed; NULL if that fails. */
json_t *http_get_json(const char *address, const char *path);

#endif
