/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef RTPFWD_LIB_PATH_H
#define RTPFWD_LIB_PATH_H

/* Makes the folders above `path`, mode 0755, where they are missing. 0 or -errno. */
int path_make_parents(const char *path);

#endif
