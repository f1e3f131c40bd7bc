#!/bin/sh
# Stands before rustc: gives our crates a fixed identity. Cargo's contains the path of the checkout, and ends up in
# the names of functions, so that no two checkouts would make the same object.
rustc=$1
shift
case " $* " in *" --crate-name zcscope"*)
    for word do
        shift
        case $word in metadata=*) word=metadata=zcscope ;; esac
        set -- "$@" "$word"
    done ;;
esac
exec "$rustc" "$@"
