# For people: lab exec NODE starts a shell with this.
export KUBECONFIG=/etc/kubernetes/admin.conf
PS1='\u@\h:\w\$ '
